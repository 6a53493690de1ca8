"""A thread-safe HTTP client with persistent connections."""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from threading import Event, Lock
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from puller import __version__
from puller.http.certificates import SYSTEM, TlsSettings
from puller.http.errors import HttpError, HttpErrorKind
from puller.http.handle import Handle
from puller.http.proxies import ProxyVariables, proxy_for
from puller.http.response import HttpResponse
from puller.system.threads import affordable

_HEADERS = {"User-Agent": f"puller/{__version__}", "Accept-Encoding": "identity"}
_ORIGINS = 8
"""Servers with idle connections: a registry, its token server, and redirect targets."""
_SAFE = "!#$%&'()*+,/:;=?@[]~"
"""Characters in a URL that are not quoted: RFC 3986 "Reserved Characters", and `%`."""
_PLAIN = re.compile(r"(?P<scheme>https?)://(?P<address>[a-z0-9.-]+(?::[0-9]{1,5})?)/[\w.~/:?&=-]*", re.ASCII)
"""A URL that needs no quoting, no case folding and no validation."""


class _Origin(NamedTuple):
    scheme: str
    address: str
    tls: TlsSettings
    http1: bool = False


class RequestGroup:
    """Requests to cancel together, with `HttpClient.cancel`."""

    def __init__(self) -> None:
        self.ended = Event()
        """Set when the group is cancelled; further requests fail."""
        self.handles: set[Handle] = set()


class HttpClient(AbstractContextManager["HttpClient"]):
    """Sends requests. It follows no redirects, keeps no cookies, and retries only a stale persistent connection.

    Each request has its own handle, and so its own connection; both are kept for later requests.
    """

    def __init__(
        self,
        *,
        connect: float = 5.0,
        read: float = 15.0,
        kept: int = 16,
        receive_buffer: int | None = None,
        unix_socket: str | None = None,
        proxies: ProxyVariables | None = None,
    ) -> None:
        """Set limits: `connect` seconds for all addresses together, and `read` seconds without a byte.

        Up to `kept` idle connections are kept to each server, each with a kernel buffer of `receive_buffer` bytes.
        `proxies` default to those of the environment; a `unix_socket` uses none.
        """
        self._timeouts = (connect, read)
        self._kept, self._origins = affordable(kept), affordable(_ORIGINS)
        self._receive_buffer = receive_buffer
        self._unix_socket = unix_socket
        self._proxies = proxies
        self._lock = Lock()
        self._idle: dict[_Origin, list[Handle]] = {}
        self._busy: set[Handle] = set()
        self._group = RequestGroup()
        self.closed = False

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        tls: TlsSettings = SYSTEM,
        timeouts: tuple[float, float] | None = None,
        group: RequestGroup | None = None,
        http1: bool = False,
    ) -> HttpResponse:
        """Send a request, and read the headers of the response but not its body; raises HttpError.

        User information in a URL is not sent. `timeouts` (connect, read) replace the client's; `group` is a group of
        requests to cancel together. With `http1` HTTP/2 is not offered to a server.
        """
        url, origin = _address(url, tls)
        if http1 and origin.scheme == "https":
            origin = origin._replace(http1=True)
        lines = _lines(_HEADERS if headers is None else {**_HEADERS, **headers})
        connect, read = timeouts or self._timeouts
        group = group or self._group
        handle = self._take(origin, url, group)
        try:
            handle.start(method, url, lines, body, connect=connect, read=read)
        except BaseException:
            self._give_back(origin, group, handle)
            raise
        response = HttpResponse(handle, url, partial(self._give_back, origin, group))
        if method == "HEAD":
            response.end()
        return response

    def proxy_for(self, url: str) -> str:
        """Return the URL of the proxy for a URL; empty for a direct connection. Raises HttpError for an invalid URL."""
        if self._unix_socket:
            return ""
        try:
            return proxy_for(url, ProxyVariables.of() if self._proxies is None else self._proxies)
        except ValueError:
            raise HttpError(HttpErrorKind.REQUEST, "no valid address") from None

    def cancel(self, group: RequestGroup) -> None:
        """Cancel the requests of a group at once, and refuse further ones."""
        with self._lock:
            group.ended.set()
            handles = list(group.handles)
        for handle in handles:
            handle.abort()

    def close(self) -> None:
        """Cancel the requests of all threads at once, and close the idle connections."""
        with self._lock:
            self.closed = True
            busy, idle = list(self._busy), list(self._idle.values())
            self._idle.clear()
        for handle in busy:
            handle.abort()
        for handles in idle:
            for handle in handles:
                handle.close()

    def _take(self, origin: _Origin, url: str, group: RequestGroup) -> Handle:
        while handle := self._take_kept(origin, group):
            if handle.fresh:
                return handle
            self._remove(group, handle)
            handle.close()
        handle = Handle(
            origin.tls if origin.scheme == "https" else None,
            self.proxy_for(url),
            unix_socket=self._unix_socket,
            receive_buffer=self._receive_buffer,
            http1=origin.http1,
        )
        with self._lock:
            self._busy.add(handle)
            group.handles.add(handle)
            ended = self.closed or group.ended.is_set()
        if ended:
            handle.abort()
        return handle

    def _take_kept(self, origin: _Origin, group: RequestGroup) -> Handle | None:
        with self._lock:
            if self.closed or group.ended.is_set():
                raise HttpError(HttpErrorKind.CLOSED, "cancelled")
            kept = self._idle.get(origin)
            if not kept:
                return None
            self._busy.add(kept[-1])
            group.handles.add(kept[-1])
            return kept.pop()

    def _remove(self, group: RequestGroup, handle: Handle) -> None:
        with self._lock:
            self._busy.discard(handle)
            group.handles.discard(handle)

    def _give_back(self, origin: _Origin, group: RequestGroup, handle: Handle) -> None:
        usable = handle.finish()
        surplus: list[Handle] = []
        with self._lock:
            self._busy.discard(handle)
            group.handles.discard(handle)
            kept = self._idle.setdefault(origin, []) if usable and not self.closed else None
            if kept is None or len(kept) >= self._kept:
                surplus.append(handle)
            else:
                kept.append(handle)
                if len(self._idle) > self._origins:
                    surplus += self._idle.pop(next(iter(self._idle)))
        for each in surplus:
            each.close()


def _address(url: str, tls: TlsSettings) -> tuple[str, _Origin]:
    """Return the URL without user information and fragment, quoted, and its origin."""
    if plain := _PLAIN.fullmatch(url):
        return url, _Origin(plain["scheme"], plain["address"], tls)
    try:
        parts = urlsplit(url)
        address = parts.netloc.rpartition("@")[2]
        with suppress(UnicodeError):
            address = address if address.isascii() else address.encode("idna").decode()
        parts.port  # noqa: B018 - raises for an invalid port
    except ValueError:
        raise HttpError(HttpErrorKind.REQUEST, "no valid address") from None
    if parts.scheme not in {"http", "https"} or not address:
        raise HttpError(HttpErrorKind.REQUEST, "no valid address")
    query = f"?{parts.query}" if parts.query else ""
    full = f"{parts.scheme}://{address}{parts.path or '/'}{query}"
    return quote(full, safe=_SAFE), _Origin(parts.scheme, address.lower(), tls)


def _lines(headers: Mapping[str, str]) -> list[str]:
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in headers.items()]
    text = "".join(lines)
    if not text.isprintable() or not text.isascii():
        raise HttpError(HttpErrorKind.REQUEST, "a header that is not one line of ASCII")
    return lines
