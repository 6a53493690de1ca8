"""The state of one registry, in one object that all its users share."""

import copy
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

from puller.errors import FailureKind, RegistryError
from puller.failure import failure
from puller.http import TlsSettings
from puller.image.manifest import Manifest
from puller.image.reference import ImageReference
from puller.registry.health import RegistryHealth
from puller.registry.host import CERTS_D, Host
from puller.registry.responses import Challenge, Described, Quota, Token

_KINDS: dict[int, FailureKind] = {HTTPStatus.SERVICE_UNAVAILABLE: FailureKind.REGISTRY_5XX}
_FIRST_GUESS, _LONGEST_GUESS = 1.0, 60.0
"""First and longest rate limit, in seconds, if the registry does not say how long it lasts."""
_LARGEST_KEPT, _MOST_KEPT = 32 << 10, 1000
"""Bytes of a manifest that is kept, and how many are."""


class RegistryRecord:
    """One registry: its address and TLS settings, health, quota, tokens, and resolved tags."""

    def __init__(
        self, host: Host, health: RegistryHealth, *, certificates: Path = CERTS_D, ca: str | None = None
    ) -> None:
        """`certificates` contains a folder for each host, `ca` is one more file with authorities."""
        self.host = host
        self.health = health
        self.quota: Quota | None = None
        """The last quota that the registry sent; None before the first."""
        self.schemes = host.schemes
        """The possible schemes; only one after the first response."""
        self.unreachable = False
        """Whether the last request got no response."""
        self.failing = False
        """Whether the last request got a server error or no response."""
        self.refuses_head = False
        """Whether it refused a HEAD for a manifest, and answered the GET."""
        self.challenges: dict[str, Challenge] = {}
        """By repository; the entry with the empty name, which has no scope, is for all others."""
        self.tokens: dict[str, Token] = {}
        """By repository."""
        self.manifests: dict[tuple[str, str], Manifest] = {}
        """By repository and digest, those that were fetched in this run; see `keep`."""
        self.lock = Lock()
        """Protects `challenges`, `token_locks` and the TLS settings."""
        self.token_locks: dict[str, Lock] = {}
        """By repository: held while a token is requested."""
        self._certificates = certificates
        self._ca = ca
        self._tls: TlsSettings | None = None
        self._guesses = 0
        self._tags: dict[str, Future[Described]] = {}

    @property
    def tls(self) -> TlsSettings:
        """The TLS settings, always the same object; raises RegistryError for unusable certificates."""
        with self.lock:
            if self._tls is None:
                try:
                    self._tls = self.host.tls(self._certificates, self._ca)
                except (OSError, ValueError) as error:
                    file = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
                    words = f"its certificates cannot be used: {file}{getattr(error, 'strerror', None) or error}"
                    raise RegistryError(f"{self.host.name}: {words}", kind=FailureKind.TLS_CONFIG) from None
            return self._tls

    @property
    def silent(self) -> bool:
        """Whether the last request got no answer or a server error, or a rate limit is in force."""
        return self.failing or bool(self.health.rate_limit.left)

    def apart(self) -> "RegistryRecord":
        """Return a record that shares tokens, tags and manifests with this one, but not its health."""
        record = copy.copy(self)
        record.health = RegistryHealth(self.health.registry)
        record.unreachable = record.failing = False
        return record

    def answered(self, status: int) -> None:
        self.unreachable = False
        self.failing = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if status < HTTPStatus.BAD_REQUEST:
            self._guesses = 0

    def not_answered(self) -> None:
        self.unreachable = self.failing = True

    def limit(self, error: RegistryError) -> None:
        """Set the rate limit that the registry sent, or one that doubles each time if it did not say how long."""
        wait = error.wait
        if wait is None:
            if self.health.rate_limit.left:
                return
            wait = min(_FIRST_GUESS * 2.0**self._guesses, _LONGEST_GUESS)
            self._guesses += 1
        # The first call of `classify` takes 0.1 s, in which other threads would send more requests.
        kind = _KINDS.get(error.status or 0, FailureKind.RATE_LIMITED)
        self.health.rate_limit.extend(wait, failure(kind, error.message))

    def owns(self, url: str) -> bool:
        """Whether a URL is on the registry itself."""
        return urlsplit(url).netloc.lower() == self.host.address.lower()

    def ask_tag(self, reference: ImageReference, ask: Callable[[], Described]) -> Described:
        """Resolve a tag: the first thread calls `ask`, and the others wait for its result.

        A result is kept. A failure is raised in the waiting threads too, and a later call asks again.
        """
        mine: Future[Described] = Future()
        key = f"{reference.repository}:{reference.tag}"
        answer = self._tags.setdefault(key, mine)  # atomic, as `pop` is; a lock would be contended
        if answer is not mine:
            return answer.result()
        try:
            described = ask()
        except BaseException as error:
            self._tags.pop(key, None)
            mine.set_exception(error)
            raise
        mine.set_result(described)
        return described

    def keep(self, repository: str, manifest: Manifest) -> Manifest:
        """Keep a manifest for the rest of the run, if it and all others are small; return it."""
        if len(manifest.raw) <= _LARGEST_KEPT and len(self.manifests) < _MOST_KEPT:
            self.manifests[repository, manifest.digest] = manifest
        return manifest

    def new_run(self) -> None:
        """Forget what applies to one run: tags and manifests, and that the registry did not answer."""
        self.unreachable = self.failing = False
        self.manifests = {}
        for key, answer in list(self._tags.items()):
            if answer.done():
                self._tags.pop(key, None)


class RegistryRecords:
    """The records of all registries, each made when it is first asked for; thread-safe."""

    def __init__(self, make: Callable[[str], RegistryRecord]) -> None:
        """`make` returns the record of a registry; several threads may call it for one, and the first result counts."""
        self._make = make
        self._records: dict[str, RegistryRecord] = {}

    def of(self, registry: str) -> RegistryRecord:
        """Return the record of a registry, always the same object."""
        name = registry.lower()
        return self._records.get(name) or self._records.setdefault(name, self._make(registry))

    def apart(self) -> "RegistryRecords":
        """Return records that are `RegistryRecord.apart` from these."""
        return RegistryRecords(lambda registry: self.of(registry).apart())

    def new_run(self) -> None:
        for record in list(self._records.values()):
            record.new_run()
