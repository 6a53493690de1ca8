"""The client for all registries: it reads tags, manifests and blobs. Thread-safe; one for a process."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Self, TypeVar

from puller.errors import FailureKind, RegistryError
from puller.http import RequestGroup
from puller.image.digest import is_digest, matches, sha256
from puller.image.manifest import INDEX_TYPES, SINGLE_TYPES, Manifest
from puller.image.reference import ImageReference, Platform
from puller.registry.auth import Access, Authority
from puller.registry.blob import Blob
from puller.registry.health import BREAKER_LIMIT, RegistryHealth
from puller.registry.host import CERTS_D, Host, Insecure
from puller.registry.http import RegistryHttp, RegistryResponse, RequestLimits
from puller.registry.manifests import parts_of
from puller.registry.mirrors import ask_with_mirrors
from puller.registry.ping import reach
from puller.registry.record import RegistryRecord, RegistryRecords
from puller.registry.resolver import ResolvedTag, Resolver
from puller.registry.responses import Described, Quota, digest_in, media_type_of, size_of, wait_of
from puller.settings import RegistrySettings, Settings, registry_settings
from puller.system.credentials import Keyring

T = TypeVar("T")

MANIFEST_TYPES = (*INDEX_TYPES, *SINGLE_TYPES)
_ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}
_LARGEST = 4 << 20
"""Bytes of a manifest; registries take no larger ones ("Pushing Manifests")."""
_HEAD_REFUSED = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.NOT_IMPLEMENTED,
}
"""Statuses with which servers and firewalls refuse a HEAD whose GET they answer; a HEAD has no error message."""
_FULL_OR_PART = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)


class RegistryClient(Resolver, AbstractContextManager["RegistryClient"]):
    """Asks registries for many threads, and owns their `RegistryRecords`.

    Methods raise RegistryError for every failure, except those of `Resolver`, which never raise.
    """

    def __init__(  # noqa: PLR0913 - all by keyword
        self,
        *,
        insecure: Insecure = (),
        certificates: Path = CERTS_D,
        registries: Mapping[str, RegistrySettings] | None = None,
        connect: float = 5.0,
        read: float = 15.0,
        connections: int = 16,
        receive_buffer: int | None = None,
        keyring: Keyring | None = None,
        breaker: int = BREAKER_LIMIT,
    ) -> None:
        """Accept plain HTTP and any certificate from `insecure` hosts and networks, and from loopback.

        `registries` are the settings of single registries; `insecure` and `ca` are used here. `connect` and `read` are
        time limits in seconds (see `with_limits`), `connections` is the number of kept connections for each registry.
        `receive_buffer` is the size of each connection's kernel buffer in bytes; None means the kernel's default.
        After `breaker` failed connections in a row a registry counts as down.
        """
        self._insecure = insecure
        self._certificates = certificates
        self._registries = registries or {}
        self._breaker = breaker
        self._http = RegistryHttp(connections=connections, receive_buffer=receive_buffer)
        self._authority = Authority(self._http, keyring)
        self._records = RegistryRecords(self._new_record)
        self._limits = RequestLimits(connect, read, RequestGroup())
        self._owns_http = True
        self.mirrored: dict[str, str] = {}
        """By canonical reference: the mirror that resolved a tag, because the registry itself did not answer."""

    @classmethod
    def of(cls, settings: Settings, insecure: Insecure = (), keyring: Keyring | None = None) -> Self:
        """Make a client with the settings of a run."""
        return cls(
            insecure=insecure,
            registries=settings.registries,
            connections=settings.prefetch.connections,
            receive_buffer=settings.prefetch.receive_buffer,
            keyring=keyring,
            breaker=settings.breaker,
        )

    def __exit__(self, *_: object) -> None:
        self.close()

    def with_limits(self, *, connect: float | None = None, read: float | None = None, rate_limit: float = 0.0) -> Self:
        """Return a client with other limits that shares everything else; its `close` ends only its own requests.

        A request waits up to `connect` seconds for a connection, `read` for each byte of the answer, and `rate_limit`
        for the end of the registry's rate limit; it fails at once if the rate limit lasts longer.
        """
        client, old = copy.copy(self), self._limits
        client._limits = RequestLimits(connect or old.connect, read or old.read, RequestGroup(), rate_limit)  # noqa: SLF001 - the same class
        client._owns_http = False  # noqa: SLF001 - the same class
        return client

    def apart(self) -> Self:
        """Return a client as `with_limits` does, with rate limits and failures of its own, which nobody else respects.

        It is for requests that no pull needs: a registry that refuses these may well serve an engine.
        """
        client = self.with_limits()
        client._records = self._records.apart()  # noqa: SLF001 - the same class
        return client

    def quick(self) -> Self:
        return self.with_limits(connect=3.0, read=5.0, rate_limit=10.0)

    def close(self) -> None:
        """Break off the requests of all threads, and close the kept connections."""
        if self._owns_http:
            self._http.close()
        else:
            self._http.cancel(self._limits.group)

    def record(self, registry: str) -> RegistryRecord:
        """Return the record of a registry, always the same object."""
        return self._records.of(registry)

    def new_run(self) -> None:
        self._records.new_run()

    def proxy_for(self, registry: str) -> str:
        """Return the URL of the proxy for a registry; empty for a direct connection."""
        host = self.record(registry).host
        return self._http.proxy_for(f"{host.schemes[0]}://{host.address}/v2/")

    def ping(self, registry: str) -> RegistryResponse:
        """Request the API's root without credentials (OCI distribution spec "Determining Support")."""
        return self._http.ask(self.record(registry), "GET", "/v2/", {}, self._limits)

    def head(self, reference: ImageReference) -> Described:
        """Describe the manifest of a reference (OCI distribution spec "Pulling manifests", HEAD).

        A tag is requested once in a run, by whichever thread is first. The manifest is fetched instead if the registry
        refuses the HEAD, sends no digest, or does not send the media type of a manifest.
        """
        mirrored = bool(self._mirrors(reference))
        ask = partial(self._at_mirrors, reference, self._head) if mirrored else partial(self._head, reference)
        return ask() if reference.digest else self.record(reference.registry).ask_tag(reference, ask)

    def manifest(self, reference: ImageReference, digest_or_tag: str | None = None) -> Manifest:
        """Fetch a manifest or an index (OCI distribution spec "Pulling manifests"), and check its digest.

        `digest_or_tag` selects another one of the same repository, such as an index's entry. A tag resolves to the same
        digest for the whole run, and what was fetched is not fetched again.
        """
        name, record = digest_or_tag or reference.digest or reference.tag or "", self.record(reference.registry)
        if ":" in name:
            known = record.manifests.get((reference.repository, name))
            return known or record.keep(
                reference.repository, self._at_mirrors(reference, lambda there: self._manifest(there, name))[0]
            )
        fetched: list[Manifest] = []

        def fetch(there: ImageReference) -> Described:
            manifest, described = self._manifest(there, name)
            fetched.append(manifest)
            return described

        tagged = reference.with_tag(name)
        described = record.ask_tag(tagged, partial(self._at_mirrors, tagged, fetch))
        if not fetched:
            return self.manifest(reference, described.digest)
        return record.keep(reference.repository, fetched[-1])

    def referrers(self, reference: ImageReference, digest: str) -> Manifest:
        """Fetch the index of the manifests that refer to one (OCI distribution spec "Listing Referrers").

        Nothing vouches for its content. Raises RegistryError.
        """
        path = f"/v2/{reference.repository}/referrers/{digest}"
        raw = self._authority.ask(self._access(reference), "GET", path, _ACCEPT).read(_LARGEST)
        return Manifest(raw, INDEX_TYPES[0], sha256(raw))

    @contextmanager
    def blob(
        self, reference: ImageReference, digest: str, start: int = 0, end: int | None = None, *, check: bool = True
    ) -> Iterator[Blob]:
        """Read a blob (OCI distribution spec "Pulling blobs") from `start` to before `end`, if ranges are supported.

        The digest is checked if the blob is read from its first byte to its last, unless `check` is False.
        """
        if not is_digest(digest):
            words = f"{reference.registry}: {digest} is not a digest that can be checked"
            raise RegistryError(words, kind=FailureKind.UNSUPPORTED_MANIFEST)
        headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
        path = f"/v2/{reference.repository}/blobs/{digest}"
        reply = self._authority.ask(self._access(reference), "GET", path, headers, _FULL_OR_PART)
        try:
            yield Blob(reference.registry, reply, digest, start, check=check and end is None)
        finally:
            reply.close()

    def reach(self, registry: str) -> bool:
        """Whether the registry answers; see `puller.registry.ping.reach`."""
        try:
            return reach(registry)
        except Exception:  # noqa: BLE001 - the name is not a valid host name
            return False

    def health(self, registry: str) -> RegistryHealth:
        return self.record(registry).health

    def resolve(self, reference: ImageReference) -> ResolvedTag | None:
        if self.record(reference.registry).unreachable and not self._mirrors(reference):
            return None
        try:
            described = self.head(reference)
        except Exception:  # noqa: BLE001 - see `Resolver`
            return None
        mirror, record = self.mirrored.get(reference.canonical), self.record(reference.registry)
        counted = described.quota is not None or mirror is not None or record.silent or record.health.impaired
        return ResolvedTag(described.digest, single=described.single, counted=counted, mirror=mirror)

    def image_id(self, reference: ImageReference, platform: Platform) -> str | None:
        try:
            return parts_of(self, reference, reference.digest or "", platform).config.digest
        except Exception:  # noqa: BLE001 - see `Resolver`
            return None

    def wait_of(self, reference: ImageReference) -> float | None:
        """See `Resolver.wait_of`. Sends a HEAD, which registries do not count as a pull."""
        if left := self.health(reference.registry).rate_limit.left:
            return left
        try:
            reply = self._authority.ask(self._access(reference), "HEAD", _manifest_path(reference), _ACCEPT)
            return wait_of(reply.status, reply.headers)
        except RegistryError as error:
            return error.wait
        except Exception:  # noqa: BLE001 - see `Resolver`
            return None

    def _new_record(self, registry: str) -> RegistryRecord:
        own = registry_settings(self._registries, registry)
        try:
            host = Host.of(registry, (registry,) if own.insecure else self._insecure)
        except Exception:  # noqa: BLE001 - an engine that does not list its insecure registries has none
            host = Host.of(registry)
        health = RegistryHealth(registry, self._breaker, lambda: self.reach(registry))
        return RegistryRecord(host, health, certificates=self._certificates, ca=own.ca)

    def _access(self, reference: ImageReference) -> Access:
        return Access(self.record(reference.registry), reference.repository, self._limits)

    def _mirrors(self, reference: ImageReference) -> tuple[str, ...]:
        return registry_settings(self._registries, reference.registry).mirrors

    def _at_mirrors(self, reference: ImageReference, ask: Callable[[ImageReference], T]) -> T:
        record = self.record(reference.registry)
        answer, mirror = ask_with_mirrors(reference, record, self._mirrors(reference), ask)
        if mirror and not reference.digest:
            self.mirrored[reference.canonical] = mirror
        return answer

    def _head(self, reference: ImageReference) -> Described:
        access, path = self._access(reference), _manifest_path(reference)
        headers: Mapping[str, str] = {}
        if not access.record.refuses_head:
            try:
                headers = self._authority.ask(access, "HEAD", path, _ACCEPT).headers
            except RegistryError as error:
                if error.status not in _HEAD_REFUSED or error.challenged:
                    raise
        digest, media_type = digest_in(headers), media_type_of(headers)
        if digest is None or media_type not in MANIFEST_TYPES:
            described = self._manifest(reference, reference.digest or reference.tag or "")[1]
            access.record.refuses_head = access.record.refuses_head or not headers
            return described
        if reference.digest and digest != reference.digest:
            words = f"{reference.registry}: responds with another digest, {digest}"
            raise RegistryError(words, kind=FailureKind.DIGEST_MISMATCH)
        return Described(digest, media_type, size_of(headers), Quota.of(headers))

    def _manifest(self, reference: ImageReference, name: str) -> tuple[Manifest, Described]:
        reply = self._authority.ask(self._access(reference), "GET", _manifest_path(reference, name), _ACCEPT)
        raw, headers = reply.read(_LARGEST), reply.headers
        digest = name if ":" in name else digest_in(headers) or sha256(raw)
        if not matches(digest, raw):
            words = f"{reference.registry}: sends wrong content for {digest}"
            raise RegistryError(words, kind=FailureKind.DIGEST_MISMATCH)
        manifest = Manifest.of(raw, media_type_of(headers), digest)
        if manifest is None:
            words = f"sends no image manifest ({media_type_of(headers) or 'without a media type'})"
            raise RegistryError(f"{reference.registry}: {words}", kind=FailureKind.UNSUPPORTED_MANIFEST)
        return manifest, Described(digest, manifest.media_type, len(raw), Quota.of(headers))


def _manifest_path(reference: ImageReference, digest_or_tag: str | None = None) -> str:
    return f"/v2/{reference.repository}/manifests/{digest_or_tag or reference.digest or reference.tag}"
