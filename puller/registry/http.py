"""HTTP to registries: schemes, rate limits, redirects, bounded reads, and errors without URLs or secrets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode, urljoin, urlsplit

from puller.errors import RegistryError
from puller.http import HttpClient, HttpError, HttpErrorKind, HttpResponse, RequestGroup
from puller.http.proxies import PORTS
from puller.registry.host import Host
from puller.registry.record import RegistryRecord
from puller.registry.responses import wait_of
from puller.text import format_seconds

_REDIRECTS = 5
_LIMITS = {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""Statuses with which a Retry-After limits the rate of all requests, and not of this one alone."""
_SLICE = 0.25
"""Seconds after which a request that waits for the end of a rate limit looks whether the client has been closed."""
_ANSWERED = {HttpErrorKind.TOO_LARGE, HttpErrorKind.TOO_SLOW, HttpErrorKind.CERTIFICATE_FILE}
"""What goes wrong although somebody answers, or before anybody is asked."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How long a request may take, and with which others it is broken off."""

    connect: float = 5.0
    """Seconds without a connection."""
    read: float = 15.0
    """Seconds without a byte of the answer."""
    rate_limit: float = 0.0
    """Seconds for which it waits while the registry wants no requests; a longer limit refuses it."""
    group: RequestGroup = field(default_factory=RequestGroup)

    @property
    def timeouts(self) -> tuple[float, float]:
        """For `HttpClient.send`."""
        return self.connect, self.read


class RegistryResponse:
    """An answer of a registry, or of a server that it leads to, whose body is read or closed by the caller."""

    def __init__(self, registry: str, response: HttpResponse, read_seconds: float) -> None:
        self._registry = registry
        self._response = response
        self._read_seconds = read_seconds
        self.status = response.status
        self.headers = response.headers
        self.url = response.url

    def next(self) -> bytes:
        """Return what has come of the body; empty at its end. Raises RegistryError for a cut or silent one."""
        try:
            return self._response.next()
        except HttpError as error:
            raise _registry_error(self._registry, error) from error

    def read(self, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; raises RegistryError for a longer, cut or very slow one."""
        try:
            return self._response.read(limit, self._read_seconds)
        except HttpError as error:
            raise _registry_error(self._registry, error) from error

    def discard(self) -> bytes:
        """Read a small body to its end, and no more of a large or slow one."""
        return self._response.discard()

    def close(self) -> None:
        """Read no further."""
        self._response.close()


class RegistryHttp:
    """Sends requests to registries for many threads."""

    def __init__(self, *, connections: int = 16, receive_buffer: int | None = None) -> None:
        """Keep `connections` for each registry; more are made when more threads ask.

        On each the kernel takes in no more than about `receive_buffer` bytes ahead.
        """
        self._client = HttpClient(kept=connections, receive_buffer=receive_buffer)

    def proxy_for(self, url: str) -> str:
        """Return the proxy that leads to a URL, or nothing."""
        return self._client.proxy_for(url)

    def ask(
        self, record: RegistryRecord, method: str, path: str, headers: Mapping[str, str], limits: RequestLimits
    ) -> RegistryResponse:
        """Ask a registry, whatever the status of its answer.

        Where two schemes are possible, the second is tried when the first gets no answer, or the one that a TLS
        server has for plain HTTP.
        """
        first: RegistryError | None = None
        for scheme in record.schemes:
            url = f"{scheme}://{record.host.address}{path}"
            try:
                response = self.send(record, method, url, headers, limits)
            except RegistryError as error:
                first = first or error
                if error.late or not error.lost:
                    break
                continue
            undecided = record.host.schemes == record.schemes
            if response.status == HTTPStatus.BAD_REQUEST and scheme == "http" and undecided:
                first = first or self.refusal(record, response)
                continue
            record.schemes = (scheme,)
            return response
        raise first or RegistryError(f"{record.host.name}: no way to connect")

    def send(
        self,
        record: RegistryRecord,
        method: str,
        url: str,
        headers: Mapping[str, str],
        limits: RequestLimits,
        form: Mapping[str, str] | None = None,
    ) -> RegistryResponse:
        """Ask a registry or a server that it has named, with the registry's TLS settings, and follow redirects.

        Credentials (`Authorization`) go to the first origin only. Every request to a registry passes here: it waits for
        the end of a rate limit, or raises RegistryError where that is too far away.
        """
        self._wait(record, limits)
        registry, headers = record.host.name, dict(headers)
        body = urlencode(form).encode() if form else None
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        for _ in range(_REDIRECTS):
            try:
                response = self._client.send(
                    method, url, headers, body, tls=record.tls, timeouts=limits.timeouts, group=limits.group
                )
            except HttpError as error:
                trouble = _registry_error(registry, error)
                if trouble.lost:
                    record.not_answered()
                raise trouble from error
            record.answered(response.status)
            target = response.target if method in {"GET", "HEAD"} else None
            if not target:
                return RegistryResponse(registry, response, 2 * limits.read)
            response.discard()
            previous = url
            try:
                url = urljoin(previous, target)
                may, elsewhere = may_lead(record.host, previous, url), _origin(url) != _origin(previous)
            except ValueError:  # no address at all
                may = elsewhere = False
            if not may:
                raise RegistryError(f"{registry}: redirects to where it must not")
            if elsewhere:
                headers.pop("Authorization", None)
        raise RegistryError(f"{registry}: redirects too often")

    def refusal(self, record: RegistryRecord, response: RegistryResponse, *secrets: str) -> RegistryError:
        """Make an error of an answer, with its reason (OCI distribution spec "Error Codes"), but no secret of ours.

        A rate limit that it tells of is put down in the record, for everybody.
        """
        words = _errors(response.discard())
        for secret in filter(None, secrets):
            words = words.replace(secret, "***")
        status = response.status
        text = f"{record.host.name}: status {status}" + (f", {words}" if words else "")
        error = RegistryError(text, status=status, wait=wait_of(status, response.headers))
        if status == HTTPStatus.TOO_MANY_REQUESTS or (error.wait is not None and status in _LIMITS):
            record.limit(error)
        return error

    def break_off(self, group: RequestGroup) -> None:
        """Break off the requests of a group, and refuse further ones."""
        self._client.break_off(group)

    def close(self) -> None:
        """Break off whatever is under way, and close the kept connections."""
        self._client.close()

    def _wait(self, record: RegistryRecord, limits: RequestLimits) -> None:
        while left := record.health.rate_limit.left:
            if left > limits.rate_limit:
                words = f"no requests for {format_seconds(left)} more: it has set a rate limit"
                status = HTTPStatus.TOO_MANY_REQUESTS
                raise RegistryError(f"{record.host.name}: status {status:d}, {words}", status=status, wait=left)
            if limits.group.ended.wait(min(left, _SLICE)) or self._client.closed:
                raise RegistryError(f"{record.host.name}: broken off", lost=True)


def may_lead(host: Host, previous: str, url: str) -> bool:
    """Tell whether a redirect may be followed: to HTTP or HTTPS, and never from HTTPS to HTTP on a secure host."""
    scheme = urlsplit(url).scheme
    return scheme == "https" or (scheme == "http" and (host.insecure or urlsplit(previous).scheme == "http"))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def _registry_error(registry: str, error: HttpError) -> RegistryError:
    """Say why there was no answer, or no whole one."""
    if error.kind is HttpErrorKind.CONNECT_TIMEOUT:
        words = "no connection in time"
    elif error.kind is HttpErrorKind.TIMEOUT:
        words = "no answer in time"
    elif error.kind is HttpErrorKind.CERTIFICATE_FILE:
        words = f"its certificates cannot be used: {error.words}"
    else:
        words = error.words
    return RegistryError(f"{registry}: {words}", lost=error.kind not in _ANSWERED, late=error.late)


def _errors(body: bytes) -> str:
    try:
        errors = json.loads(body)["errors"]
        return "; ".join(f"{str(error.get('code', '')).lower()}: {error.get('message', '')}" for error in errors[:3])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
