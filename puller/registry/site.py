"""One registry, the ways that lead to it, and where its redirects may lead."""

import os
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from puller import __version__
from puller.registry.connections import PLAIN, Connections
from puller.registry.host import PORTS, Host, is_loopback
from puller.registry.line import Line
from puller.registry.reply import Reply
from puller.registry.session import Session

if TYPE_CHECKING:
    import ssl


_HEADERS = {"User-Agent": f"puller/{__version__}", "Accept-Encoding": "identity"}


class Site:
    """One registry with the connections that lead to it; shared by threads."""

    def __init__(self, host: Host, context: "ssl.SSLContext", connections: Connections, kept: int = 1) -> None:
        """Keep up to `kept` connections to each server."""
        self.host = host
        self.schemes = host.schemes
        """Those that may work: one, as soon as one has."""
        self._context = context
        self._connections = connections
        self._kept = kept
        self._lock = Lock()
        self._session: Session | None = None
        self._lines: dict[tuple[str, str], Line] = {}
        self._proxies: dict[tuple[str, str], dict[str, str]] = {}

    def owns(self, url: str) -> bool:
        """Tell whether a URL is one of this registry itself."""
        return urlsplit(url).netloc.lower() == self.host.address.lower()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout: tuple[float, float],
        data: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request; no redirect is followed. Raises RegistryError.

        A plain HEAD goes over a line, whatever is more than that through requests.
        """
        headers = _HEADERS | dict(headers)
        plain = PLAIN.fullmatch(url) if method == "HEAD" else None
        if plain and not self.proxies_for(url):
            return self._line(plain["scheme"], plain["address"]).head(url, plain["path"], headers, timeout)
        return self._requests().ask(method, url, headers, timeout, self.proxies_for(url), data)

    def close(self) -> None:
        """Close the kept connections that are not in use."""
        for line in list(self._lines.values()):
            line.close()
        if self._session:
            self._session.close()

    def proxies_for(self, url: str) -> dict[str, str]:
        """Return the environment's proxies for a URL; for loopback there are none, as in the engine."""
        scheme, _, rest = url.partition("://")
        key = (scheme, rest.partition("/")[0])
        if key not in self._proxies:
            self._proxies[key] = {} if is_loopback(urlsplit(url).netloc) else _of_the_environment(url)
        return self._proxies[key]

    def _line(self, scheme: str, address: str) -> Line:
        key = (scheme, address)
        if key not in self._lines:
            line = Line(self.host.name, scheme, address, self._context, self._connections, self._kept)
            self._lines.setdefault(key, line)
        return self._lines[key]

    def _requests(self) -> Session:

        with self._lock:
            if self._session is None:
                self._session = Session(self.host.name, self._context, self._connections, self._kept)
            return self._session


def may_lead(host: Host, previous: str, url: str) -> bool:
    """Tell whether a redirect may be followed: to HTTP or HTTPS, and never from HTTPS to HTTP on a secure host."""
    scheme = urlsplit(url).scheme
    return scheme == "https" or (scheme == "http" and (host.insecure or urlsplit(previous).scheme == "http"))


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def _of_the_environment(url: str) -> dict[str, str]:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return {}
    from requests.utils import get_environ_proxies  # noqa: PLC0415 - as above

    return dict(get_environ_proxies(url))
