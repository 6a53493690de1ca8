"""HTTP to registries: one kept session for each, time limits, careful redirects, bounded reads, one kind of trouble."""

import threading
from contextlib import closing
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import requests

from puller.config import registry_settings
from puller.registry.adapter import Adapter, Connections
from puller.registry.answers import RegistryTroubleError, size_of
from puller.registry.failures import TROUBLE, reason, refusal, trouble
from puller.registry.hosts import CERTS_D, Host
from puller.registry.session import Session, Site, may_lead, origin

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from puller.config import RegistrySettings

_REDIRECTS = 5
_CHUNK = 256 << 10
_ERROR_BYTES = 64 << 10
_ERROR_SECONDS = 2.0


class Transport:
    """Sends requests to registries for many threads."""

    def __init__(
        self,
        *,
        insecure: "Collection[str]" = (),
        certificates: "Path" = CERTS_D,
        registries: "Mapping[str, RegistrySettings] | None" = None,
        connect: float = 5.0,
        read: float = 15.0,
        connections: int = 16,
        receive_buffer: int | None = None,
    ) -> None:
        """Give up after `connect` seconds without a connection, or `read` without a byte.

        `connections` are kept for each registry; more are made when more threads ask. On each the kernel takes
        in no more than about `receive_buffer` bytes ahead.
        """
        self._insecure = insecure
        self._certificates = certificates
        self._registries = registries or {}
        self._timeout = (connect, read)
        self._kept = connections
        self._connections = Connections(receive_buffer)
        self._sites: dict[str, Site] = {}
        self._lock = threading.Lock()

    def site(self, registry: str) -> Site:
        """Return the way to a registry; raises RegistryTroubleError for certificates that cannot be used."""
        with self._lock:
            if registry not in self._sites:
                own = registry_settings(self._registries, registry)
                host = Host.of(registry, (registry,) if own.insecure else self._insecure)
                try:
                    context = host.context(self._certificates, own.ca)
                except (OSError, ValueError) as error:
                    words = f"{registry}: its certificates cannot be used: {reason(error)}"
                    raise RegistryTroubleError(words) from None
                self._sites[registry] = Site(host, Session(Adapter(context, self._connections, self._kept)))
            return self._sites[registry]

    def ask(self, site: Site, method: str, path: str, headers: "Mapping[str, str]") -> requests.Response:
        """Ask a registry, whatever the status of its answer; the caller reads or closes the response.

        Where two schemes are possible, the second is tried when the first gets no answer, or the one that a TLS
        server has for plain HTTP.
        """
        first: RegistryTroubleError | None = None
        for scheme in site.schemes:
            url = f"{scheme}://{site.host.address}{path}"
            try:
                response = self._follow(site, method, url, dict(headers))
            except requests.Timeout as error:
                raise first or trouble(site.host.name, error) from None
            except TROUBLE as error:
                first = first or trouble(site.host.name, error)
                continue
            if (
                response.status_code == HTTPStatus.BAD_REQUEST
                and scheme == "http"
                and site.host.schemes == site.schemes
            ):
                first = first or self.refusal(site, response)
                continue
            site.schemes = (scheme,)
            return response
        raise first or RegistryTroubleError(f"{site.host.name}: no way to connect")

    def send(
        self, site: Site, method: str, url: str, headers: "Mapping[str, str]", data: "Mapping[str, str] | None" = None
    ) -> requests.Response:
        """Ask another server, which the registry has named, with the registry's own TLS settings."""
        try:
            return self._follow(site, method, url, dict(headers), data)
        except TROUBLE as error:
            raise trouble(site.host.name, error) from None

    def read(self, site: Site, response: requests.Response, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; raises RegistryTroubleError for a longer, cut or dripping one."""
        deadline = monotonic() + 2 * self._timeout[1]
        body = bytearray()
        with closing(response):
            while chunk := self.chunk(site, response):
                body += chunk
                if len(body) > limit:
                    raise RegistryTroubleError(f"{site.host.name}: an answer of more than {limit} bytes")
                if monotonic() > deadline:
                    raise RegistryTroubleError(f"{site.host.name}: the answer comes too slowly")
        return bytes(body)

    def chunk(self, site: Site, response: requests.Response) -> bytes:
        """Read what has come of a body; empty at its end."""
        try:
            return _next(response)
        except TROUBLE as error:
            raise trouble(site.host.name, error) from None

    def refusal(self, site: Site, response: requests.Response, *secrets: str) -> RegistryTroubleError:
        """Turn an answer into trouble, with its reason, but none of the secrets that were sent."""
        return refusal(site.host.name, response.status_code, response.headers, discard(response), secrets)

    def close(self) -> None:
        """Break off whatever is under way, and forget the kept connections."""
        self._connections.close()
        with self._lock:
            sites = list(self._sites.values())
        for site in sites:
            site.close()

    def _follow(
        self, site: Site, method: str, url: str, headers: dict[str, str], data: "Mapping[str, str] | None" = None
    ) -> requests.Response:
        for _ in range(_REDIRECTS):
            response = site.send(method, url, headers, self._timeout, data)
            target = response.headers.get("location") if method in {"GET", "HEAD"} else None
            if not response.is_redirect or not target:
                return response
            discard(response)
            previous, url = url, urljoin(url, target)
            if not may_lead(site.host, previous, url):
                raise RegistryTroubleError(f"{site.host.name}: redirects to where it must not")
            if origin(url) != origin(previous):
                headers.pop("Authorization", None)
        raise RegistryTroubleError(f"{site.host.name}: redirects too often")


def discard(response: requests.Response) -> bytes:
    """Read a small body, so that the connection can be kept, and return it; a large or slow one is cut off."""
    announced = 0 if response.request.method == "HEAD" else size_of(response.headers) or 0
    left, deadline = _ERROR_BYTES if announced <= _ERROR_BYTES else 0, monotonic() + _ERROR_SECONDS
    body = b""
    try:
        while len(body) < left and monotonic() < deadline and (chunk := _next(response)):
            body += chunk
    except TROUBLE:
        pass  # the status was what mattered
    finally:
        response.close()
    return body


def _next(response: requests.Response) -> bytes:
    # Not what requests offers: that waits until a whole chunk has come, however slowly.
    data: bytes = response.raw.read1(_CHUNK, decode_content=False)
    return data
