"""The client: what a registry knows of an image. Thread-safe, and never the reason that an image fails."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Self

from puller.errors import RegistryError
from puller.image.digest import is_digest, matches, sha256
from puller.image.manifest import INDEX_TYPES, SINGLE_TYPES, Manifest
from puller.image.reference import ImageReference
from puller.registry.auth import Authority, secrets_of
from puller.registry.blob import Blob
from puller.registry.credentials import Keyring
from puller.registry.host import CERTS_D
from puller.registry.http import RegistryHttp, RegistryResponse
from puller.registry.responses import Described, Quota, media_type_of, size_of, wait_of
from puller.settings import RegistrySettings

MANIFEST_TYPES = (*INDEX_TYPES, *SINGLE_TYPES)
_ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}
_LARGEST = 4 << 20
"""Bytes of a manifest; registries take no larger ones ("Pushing Manifests")."""
_NO_HEAD = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
_FULL_OR_PART = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)


class RegistryClient:
    """Asks registries for many threads. Whatever goes wrong is a RegistryError: ask the engine then."""

    def __init__(
        self,
        *,
        insecure: Collection[str] = (),
        certificates: Path = CERTS_D,
        registries: Mapping[str, RegistrySettings] | None = None,
        connect: float = 5.0,
        read: float = 15.0,
        connections: int = 16,
        receive_buffer: int | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        """Take plain HTTP and any certificate from `insecure` hosts and networks, and from loopback.

        `registries` are the settings of single ones, of which `insecure` and `ca` count here.
        `connect` and `read` are time limits in seconds, `connections` how many to keep for each registry.
        `receive_buffer` is how many bytes the kernel may take in ahead on each; None leaves it to the kernel.
        """
        self._http = RegistryHttp(
            insecure=insecure,
            certificates=certificates,
            registries=registries,
            connect=connect,
            read=read,
            connections=connections,
            receive_buffer=receive_buffer,
        )
        self._authority = Authority(self._http, keyring)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Break off what any thread is asking, and forget the kept connections."""
        self._http.close()

    def head(self, reference: ImageReference) -> Described:
        """Say what a reference stands for (OCI distribution spec "Pulling manifests", HEAD).

        Where HEAD is not answered, or without a digest, the manifest is fetched instead.
        """
        headers: Mapping[str, str] = {}
        try:
            with self._asked("HEAD", reference, _manifest_path(reference), _ACCEPT) as reply:
                headers = reply.headers
        except RegistryError as trouble:
            if trouble.status not in _NO_HEAD:
                raise
        digest = headers.get("docker-content-digest")
        if digest is None or not is_digest(digest):
            manifest = self.manifest(reference)
            return Described(manifest.digest, manifest.media_type, len(manifest.raw), Quota.of(headers))
        if reference.digest and digest != reference.digest:
            raise RegistryError(f"{reference.registry}: answers with another digest, {digest}")
        return Described(digest, media_type_of(headers), size_of(headers), Quota.of(headers))

    def manifest(self, reference: ImageReference, digest_or_tag: str | None = None) -> Manifest:
        """Fetch a manifest or an index (OCI distribution spec "Pulling manifests"), checked against its digest.

        `digest_or_tag` asks for another one of the same repository, such as an index's entry.
        """
        path = _manifest_path(reference, digest_or_tag)
        with self._asked("GET", reference, path, _ACCEPT) as reply:
            raw = self._http.read(reply, _LARGEST)
            headers = reply.headers
        asked = path.rpartition("/")[2]
        said = headers.get("docker-content-digest")
        digest = next((each for each in (asked, said) if each and ":" in each), None) or sha256(raw)
        if not matches(digest, raw):
            raise RegistryError(f"{reference.registry}: sends something else for {digest}")
        return Manifest(raw, media_type_of(headers), digest)

    @contextmanager
    def blob(
        self, reference: ImageReference, digest: str, start: int = 0, end: int | None = None, *, check: bool = True
    ) -> Iterator[Blob]:
        """Read a blob (OCI distribution spec "Pulling blobs") from `start` to before `end`, where ranges are served.

        What is read from the first byte to the last is checked, unless the caller does that.
        """
        if not is_digest(digest):
            raise RegistryError(f"{reference.registry}: {digest} is no digest that can be checked")
        headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
        path = f"/v2/{reference.repository}/blobs/{digest}"
        with self._asked("GET", reference, path, headers, _FULL_OR_PART) as reply:
            yield Blob(reference.registry, reply, digest, start, check=check and end is None)

    def wait_of(self, reference: ImageReference) -> float | None:
        """Ask once how many seconds to wait, after a 429 of the engine; None when the registry does not say.

        Any trouble is None, too. A HEAD is no pull that would count.
        """
        try:
            with self._asked("HEAD", reference, _manifest_path(reference), _ACCEPT) as reply:
                return wait_of(reply.status, reply.headers)
        except RegistryError as trouble:
            return trouble.wait

    @contextmanager
    def _asked(
        self,
        method: str,
        reference: ImageReference,
        path: str,
        headers: Mapping[str, str] | None = None,
        accepted: Collection[int] = (HTTPStatus.OK,),
    ) -> Iterator[RegistryResponse]:
        """Ask, answering a challenge once; raises RegistryError for any status that is not accepted."""
        endpoint = self._http.endpoint(reference.registry)
        header = self._authority.header(endpoint, reference.repository)
        reply = self._http.ask(endpoint, method, path, _with(headers, header))
        if reply.status == HTTPStatus.UNAUTHORIZED:
            refused = self._http.refusal(endpoint, reply, *secrets_of(header))
            header = self._authority.renewed(endpoint, reference.repository, reply, header)
            if not header:
                raise refused
            reply = self._http.ask(endpoint, method, path, _with(headers, header))
        if reply.status not in accepted:
            raise self._http.refusal(endpoint, reply, *secrets_of(header))
        try:
            yield reply
        finally:
            reply.close()


def _manifest_path(reference: ImageReference, digest_or_tag: str | None = None) -> str:
    return f"/v2/{reference.repository}/manifests/{digest_or_tag or reference.digest or reference.tag}"


def _with(headers: Mapping[str, str] | None, authorization: str) -> dict[str, str]:
    return dict(headers or {}) | ({"Authorization": authorization} if authorization else {})
