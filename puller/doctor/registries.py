"""Checks one registry with the requests of a pull, step by step, up to the first step that fails."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from statistics import median
from time import monotonic

from puller.doctor.credentials import SECONDS as HELPER_SECONDS
from puller.doctor.findings import Finding, Subject, Verdict, compare_clocks, login, until_failed
from puller.doctor.wire import Wire, examine_connection
from puller.errors import RegistryError
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.registry.responses import Quota
from puller.settings import RegistrySettings, registry_settings
from puller.system.credentials import Keyring
from puller.text import format_seconds

_SECONDS = 5.0
"""Time limit to connect, and to answer a request."""
_HEADS = 3
"""HEAD requests on one connection; their median is the latency."""
_SLOW = 0.5
"""Seconds for one request; with a higher latency an image takes seconds before its first byte."""
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class RegistryCheck:
    """Checks a registry with the first of its images; HEAD requests do not count as pulls."""

    def __init__(
        self,
        references: Sequence[ImageReference],
        *,
        insecure: Collection[str],
        certificates: Path,
        registries: Mapping[str, RegistrySettings],
    ) -> None:
        """Check the registry of these `references`, of which there is at least one."""
        self._sample, self._images = references[0], len(references)
        name = self._sample.registry
        self._subject = Subject(name)
        self._keyring = Keyring(HELPER_SECONDS)
        self._client = RegistryClient(
            insecure=insecure,
            certificates=certificates,
            registries=registries,
            connect=_SECONDS,
            read=_SECONDS,
            keyring=self._keyring,
        )
        self._host = self._client.record(name).host
        own = registry_settings(registries, name)
        self._mirrors = own.mirrors
        self._wire = Wire(self._host, certificates, own.ca)
        self._proxy = self._client.proxy_for(name)
        self._quota: Quota | None = None

    def __call__(self) -> Iterator[Finding]:
        steps = self._connection(), self._api(), self._authorization(), self._latency(), self._pull_quota()
        try:
            yield from map(self._unless_mirrored, until_failed(*steps))
        finally:
            self._client.close()

    def _unless_mirrored(self, finding: Finding) -> Finding:
        """Turn the failure of a registry whose mirrors answer for its image into a warning, as a pull uses them."""
        if finding.status is not Verdict.FAILED or finding.check == "quota" or not self._mirrors:
            return finding
        try:
            self._client.head(self._sample)
        except RegistryError:
            return finding
        words = f"{finding.words}; a mirror answers for it ({', '.join(self._mirrors)})"
        return self._subject.warning(finding.check, words, finding.fix)

    def _connection(self) -> Iterator[Finding]:
        """Connect; behind a proxy the steps cannot be checked one by one."""
        if self._proxy:
            yield self._subject.ok("proxy", f"asked through {self._proxy}")
        else:
            yield from examine_connection(self._subject, self._wire)

    def _api(self) -> Iterator[Finding]:
        """Request the root of the API (OCI distribution spec "Determining Support"), and compare the clocks."""
        before = datetime.now(UTC)
        try:
            response = self._client.ping(self._host.name)
        except RegistryError as error:
            through = "through the proxy: " if self._proxy else ""
            yield self._subject.failed("api", through + self._reason(error), self._curl())
            return
        response.discard()
        here, status = before + (datetime.now(UTC) - before) / 2, response.status
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.NOT_FOUND:
            absent, broken = "no registry is at this address", "the registry has an internal error"
            words = f"status {status}: {absent if status == HTTPStatus.NOT_FOUND else broken}"
            yield self._subject.failed("api", words, self._curl())
            return
        if self._host.insecure:
            scheme = response.url.partition(":")[0]
            words = "plain HTTP, which is allowed for it" if scheme == "http" else "the certificate is not checked"
            yield self._subject.ok("tls", words)
        try:
            there = parsedate_to_datetime(response.headers.get("date", "")).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            return  # a server without a clock sends no Date (RFC 9110)
        yield compare_clocks(self._subject, "its", there, here)

    def _authorization(self) -> Iterator[Finding]:
        account = self._keyring.find(self._host.name, self._sample.repository)
        if problem := self._keyring.problem(self._host.name):
            yield self._subject.warning(
                "account", problem, "puller doctor   # without a list it asks every credential helper"
            )
        who = f"with the account {account.username or 'of a stored token'}" if account else "without an account"
        try:
            self._quota = self._client.head(self._sample).quota
        except RegistryError as error:
            yield self._refusal(error, who, known=account is not None)
        else:
            yield self._subject.ok("auth", f"{self._sample.text} can be pulled {who}")

    def _refusal(self, error: RegistryError, who: str, *, known: bool) -> Finding:
        name, words = self._host.name, self._reason(error)
        if error.status in _REFUSED:
            if known:
                fix = f"{login(name, 'logout')} && {login(name)}"
                return self._subject.failed("auth", f"refused {who}: {words}", fix)
            return self._subject.failed("auth", f"refused {who}: {words}", login(name))
        if error.status == HTTPStatus.NOT_FOUND:
            said = f"there is no {self._sample.text} ({who})"
            return self._subject.warning("image", said, f"docker manifest inspect {self._sample.text}   # the name?")
        if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = "" if error.wait is None else f", for another {format_seconds(error.wait)}"
            return self._subject.failed("quota", f"the rate limit is exceeded{wait}: {words}", self._more())
        sample = self._sample
        path = f"{sample.repository}/manifests/{sample.digest or sample.tag}"
        return self._subject.failed("api", f"{sample.text}: {words}", self._curl(path))

    def _latency(self) -> Iterator[Finding]:
        times = []
        for _ in range(_HEADS):
            begun = monotonic()
            self._client.wait_of(self._sample)
            times.append(monotonic() - begun)
        middle = median(times)
        words = f"{middle * 1000:.1f} ms for a request on an open connection"
        if middle > _SLOW:
            fix = "puller pull -j 8 LIST   # more concurrent pulls hide it; a mirror nearby avoids it"
            yield self._subject.warning("latency", f"{words}: slow", fix)
        else:
            yield self._subject.ok("latency", words)

    def _pull_quota(self) -> Iterator[Finding]:
        quota = self._quota
        if quota is None or quota.remaining is None:
            return
        window = f" in {format_seconds(quota.window_seconds)}" if quota.window_seconds else ""
        limit = "" if quota.limit is None else f" of {quota.limit}"
        words = f"{quota.remaining}{limit} pulls are left{window}"
        if quota.remaining <= 0:
            yield self._subject.failed("quota", words, self._more())
        elif quota.remaining < self._images:
            words = f"{words}, fewer than the {self._images} images of the list"
            yield self._subject.warning("quota", words, self._more())
        else:
            yield self._subject.ok("quota", words)

    def _reason(self, error: RegistryError) -> str:
        return error.message.removeprefix(f"{self._host.name}: ")

    def _curl(self, path: str = "") -> str:
        return f"curl -v{'I' * bool(path)} {self._host.schemes[0]}://{self._host.address}/v2/{path}"

    def _more(self) -> str:
        return f"{login(self._host.name)}   # an account has its own quota; or wait, or use a mirror"
