"""Requests from many threads, over kept connections."""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from threading import Event, Lock
from typing import NamedTuple, Self
from urllib.parse import quote, urlsplit

from puller import __version__
from puller.http.certificates import SYSTEM, TlsSettings
from puller.http.errors import HttpError, HttpErrorKind
from puller.http.handle import Handle
from puller.http.proxies import ProxyVariables, proxy_for
from puller.http.response import HttpResponse

_HEADERS = {"User-Agent": f"puller/{__version__}", "Accept-Encoding": "identity"}
_ORIGINS = 8
"""Servers to which connections are kept: a registry, its token server, and where it redirects to."""
_SAFE = "!#$%&'()*+,/:;=?@[]~"
"""What stays as it is in a URL (RFC 3986 "Reserved Characters"), and what is quoted already."""
_PLAIN = re.compile(r"(?P<scheme>https?)://(?P<address>[a-z0-9.-]+(?::[0-9]{1,5})?)/[\w.~/:?&=-]*", re.ASCII)
"""A URL in which nothing needs to be quoted, folded or refused."""


class _Origin(NamedTuple):
    scheme: str
    address: str
    tls: TlsSettings


class RequestGroup:
    """Requests that are broken off together, by `HttpClient.break_off`."""

    def __init__(self) -> None:
        self.ended = Event()
        """Set when they have been; further requests are refused."""
        self.handles: set[Handle] = set()


class HttpClient:
    """Sends requests; no redirect is followed, no cookie is kept, nothing is retried but on a connection that was kept.

    Each request has a handle, and so a connection, of its own; handles with their connections are kept for the next.
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
        """Give up after `connect` seconds for all addresses together, or `read` seconds without a byte.

        Up to `kept` connections are kept to each server; on each the kernel takes in no more than about
        `receive_buffer` bytes ahead. `proxies` are the environment's by default, and none for a `unix_socket`.
        """
        self._timeouts = (connect, read)
        self._kept = kept
        self._receive_buffer = receive_buffer
        self._unix_socket = unix_socket
        self._proxies = proxies
        self._lock = Lock()
        self._idle: dict[_Origin, list[Handle]] = {}
        self._busy: set[Handle] = set()
        self._group = RequestGroup()
        self.closed = False

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
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
    ) -> HttpResponse:
        """Send one request, and read the headers of the answer but nothing of its body; raises HttpError.

        What a URL says of a user is not sent. `timeouts` replace the client's for this request. `group` lets it be
        broken off with others.
        """
        url, origin = _address(url, tls)
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
        """Return the proxy that leads to a URL; empty where none does. Raises HttpError for a bad URL."""
        if self._unix_socket:
            return ""
        try:
            return proxy_for(url, ProxyVariables.of() if self._proxies is None else self._proxies)
        except ValueError:
            raise HttpError(HttpErrorKind.REQUEST, "no valid address") from None

    def break_off(self, group: RequestGroup) -> None:
        """Break off the requests of a group, at once, and refuse further ones."""
        with self._lock:
            group.ended.set()
            handles = list(group.handles)
        for handle in handles:
            handle.abort()

    def close(self) -> None:
        """Break off what any thread is asking, at once, and close the kept connections."""
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
            self._let_go(group, handle)
            handle.close()
        handle = Handle(
            origin.tls if origin.scheme == "https" else None,
            self.proxy_for(url),
            unix_socket=self._unix_socket,
            receive_buffer=self._receive_buffer,
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
                raise HttpError(HttpErrorKind.CLOSED, "broken off")
            kept = self._idle.get(origin)
            if not kept:
                return None
            self._busy.add(kept[-1])
            group.handles.add(kept[-1])
            return kept.pop()

    def _let_go(self, group: RequestGroup, handle: Handle) -> None:
        with self._lock:
            self._busy.discard(handle)
            group.handles.discard(handle)

    def _give_back(self, origin: _Origin, group: RequestGroup, handle: Handle) -> None:
        usable = handle.finish()
        unwanted: list[Handle] = []
        with self._lock:
            self._busy.discard(handle)
            group.handles.discard(handle)
            kept = self._idle.setdefault(origin, []) if usable and not self.closed else None
            if kept is None or len(kept) >= self._kept:
                unwanted.append(handle)
            else:
                kept.append(handle)
                if len(self._idle) > _ORIGINS:
                    unwanted += self._idle.pop(next(iter(self._idle)))
        for each in unwanted:
            each.close()


def _address(url: str, tls: TlsSettings) -> tuple[str, _Origin]:
    """Return a URL as it can be sent, without user and fragment, and where it leads."""
    if plain := _PLAIN.fullmatch(url):
        return url, _Origin(plain["scheme"], plain["address"], tls)
    try:
        parts = urlsplit(url)
        address = parts.netloc.rpartition("@")[2]
        with suppress(UnicodeError):
            address = address if address.isascii() else address.encode("idna").decode()
        parts.port  # noqa: B018 - a bad one raises
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
