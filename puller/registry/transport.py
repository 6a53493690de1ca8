"""HTTP to registries: one kept session for each, time limits, careful redirects, bounded reads, one kind of trouble."""

import threading
from collections.abc import Collection, Mapping
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from urllib.parse import urljoin

from puller.errors import RegistryError
from puller.registry.connections import Connections
from puller.registry.errors import reason, refusal
from puller.registry.host import CERTS_D, Host
from puller.registry.reply import Reply
from puller.registry.site import Site, may_lead, origin
from puller.settings import RegistrySettings, registry_settings

_REDIRECTS = 5


class Transport:
    """Sends requests to registries for many threads."""

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
        """Return the way to a registry; raises RegistryError for certificates that cannot be used."""
        with self._lock:
            if registry not in self._sites:
                own = registry_settings(self._registries, registry)
                host = Host.of(registry, (registry,) if own.insecure else self._insecure)
                try:
                    context = host.context(self._certificates, own.ca)
                except (OSError, ValueError) as error:
                    words = f"{registry}: its certificates cannot be used: {reason(error)}"
                    raise RegistryError(words) from None
                self._sites[registry] = Site(host, context, self._connections, self._kept)
            return self._sites[registry]

    def ask(self, site: Site, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        """Ask a registry, whatever the status of its answer; the caller reads or closes the reply.

        Where two schemes are possible, the second is tried when the first gets no answer, or the one that a TLS
        server has for plain HTTP.
        """
        first: RegistryError | None = None
        for scheme in site.schemes:
            url = f"{scheme}://{site.host.address}{path}"
            try:
                reply = self._follow(site, method, url, dict(headers))
            except RegistryError as error:
                first = first or error
                if error.late or not error.lost:
                    break
                continue
            if reply.status == HTTPStatus.BAD_REQUEST and scheme == "http" and site.host.schemes == site.schemes:
                first = first or self.refusal(site, reply)
                continue
            site.schemes = (scheme,)
            return reply
        raise first or RegistryError(f"{site.host.name}: no way to connect")

    def send(
        self, site: Site, method: str, url: str, headers: Mapping[str, str], data: Mapping[str, str] | None = None
    ) -> Reply:
        """Ask another server, which the registry has named, with the registry's own TLS settings."""
        return self._follow(site, method, url, dict(headers), data)

    def read(self, site: Site, reply: Reply, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; raises RegistryError for a longer, cut or dripping one."""
        deadline = monotonic() + 2 * self._timeout[1]
        body = bytearray()
        with closing(reply):
            while chunk := reply.next():
                body += chunk
                if len(body) > limit:
                    raise RegistryError(f"{site.host.name}: an answer of more than {limit} bytes")
                if monotonic() > deadline:
                    raise RegistryError(f"{site.host.name}: the answer comes too slowly")
        return bytes(body)

    def refusal(self, site: Site, reply: Reply, *secrets: str) -> RegistryError:
        """Turn an answer into trouble, with its reason, but none of the secrets that were sent."""
        return refusal(site.host.name, reply.status, reply.headers, reply.discard(), secrets)

    def close(self) -> None:
        """Break off whatever is under way, and forget the kept connections."""
        self._connections.close()
        with self._lock:
            sites = list(self._sites.values())
        for site in sites:
            site.close()

    def _follow(
        self, site: Site, method: str, url: str, headers: dict[str, str], data: Mapping[str, str] | None = None
    ) -> Reply:
        for _ in range(_REDIRECTS):
            reply = site.send(method, url, headers, self._timeout, data)
            target = reply.target if method in {"GET", "HEAD"} else None
            if not target:
                return reply
            reply.discard()
            previous = url
            try:
                url = urljoin(previous, target)
                may, elsewhere = may_lead(site.host, previous, url), origin(url) != origin(previous)
            except ValueError:  # no address at all
                may = elsewhere = False
            if not may:
                raise RegistryError(f"{site.host.name}: redirects to where it must not")
            if elsewhere:
                headers.pop("Authorization", None)
        raise RegistryError(f"{site.host.name}: redirects too often")
