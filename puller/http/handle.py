"""One libcurl handle with its connection, driven by the thread that waits for the response.

libcurl has two interfaces: `perform`, which returns at the end of a transfer, and a multi handle, which is driven step
by step. A HEAD on a persistent connection uses `perform`, which takes a third of the processor time with eight threads.
All other requests use a multi handle: it reads only on demand, and the time limits are ours. Both find the connection
in the handle's own share object. docs/http.md has the figures.
"""

import time
from collections import deque

import pycurl

from puller.http.certificates import TlsSettings, trust_proxy
from puller.http.errors import HttpError, HttpErrorKind, from_curl
from puller.http.head import LARGEST, ResponseHead, parse_head
from puller.http.sockets import Sockets

_BUFFER = 64 << 10
"""Bytes that libcurl reads at a time; larger buffers take more processor time for new pages (docs/http.md)."""
_SMALL_BUFFER = 16 << 10
"""The same for a HEAD; libcurl allocates the buffer for each request."""
_JOINED = 4
"""Chunks to return as one; libcurl delivers chunks of 16 KiB."""
_LEAST_SPEED = 100
"""Bytes a second; a slower body is cut off. Many connections may share a very slow link, so this is very slow."""
_SLICE = 0.25
"""Seconds between two checks for cancellation: during a name lookup there is no socket to wake the thread."""
_NO_SOCKET_SLEEP = 0.002
_SUPPRESS_CONNECT_HEADERS = 265
"""CURLOPT_SUPPRESS_CONNECT_HEADERS, which pycurl does not name."""


class Handle:
    """Sends one request at a time, in one thread from `start` to `finish`. Any thread may call `abort`."""

    def __init__(
        self,
        tls: TlsSettings | None,
        proxy: str,
        *,
        unix_socket: str | None = None,
        receive_buffer: int | None = None,
        http1: bool = False,
    ) -> None:
        """Without `tls` only plain HTTP is possible. Raises HttpError for unreadable certificates."""
        self._sockets = Sockets(receive_buffer)
        self._parts: deque[bytes] = deque()
        self._lines: list[bytes] = []
        """The raw lines of the headers."""
        self._share = pycurl.CurlShare()
        """For this handle alone: `perform` and the multi handle then use the same connection."""
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_CONNECT)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, 1)
        self.curl = pycurl.Curl()
        self._configure(tls, proxy, unix_socket)
        if http1:
            self.curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        self._running = False
        self._method = ""
        self._set: dict[int, object] = {}
        """Options of the last request; only changed ones are set again."""
        self._reset()

    def _configure(self, tls: TlsSettings | None, proxy: str, unix_socket: str | None) -> None:
        curl = self.curl
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.SHARE, self._share),
            (pycurl.MAXCONNECTS, 1),
            (pycurl.PROXY, proxy),  # empty, libcurl ignores the environment
            (pycurl.NOPROXY, ""),
            (_SUPPRESS_CONNECT_HEADERS, 1),
            (pycurl.PATH_AS_IS, 1),
            (pycurl.HTTP09_ALLOWED, 0),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HEADERFUNCTION, self._lines.append),
            (pycurl.WRITEFUNCTION, self._parts.append),
            (pycurl.OPENSOCKETFUNCTION, self._sockets.open),
        ):
            curl.setopt(option, value)
        if unix_socket:
            curl.setopt(pycurl.UNIX_SOCKET_PATH, unix_socket)
        try:
            if tls:
                tls.apply(curl)
            if proxy.startswith("https:"):
                trust_proxy(curl)
        except OSError as error:
            raise HttpError(HttpErrorKind.CERTIFICATE_FILE, error.strerror or str(error)) from None

    def _reset(self) -> None:
        self.head: ResponseHead | None = None
        self._lines.clear()
        self._seen = 0
        self.done = False
        self._sockets.opened = self._watched = False
        self._came, self._waited = 0, 0.0
        self._error: HttpError | None = None
        """Why the transfer failed; raised when all earlier data has been read."""
        self._parts.clear()

    def start(
        self, method: str, url: str, headers: list[str], body: bytes | None, *, connect: float, read: float
    ) -> None:
        """Send a request and read the headers of the response; raises HttpError, after which the handle is unusable."""
        self._reset()
        self._read = read
        self._uploads = bool(body)
        blocking = method == "HEAD" and self._sockets.connected
        self._set_options(
            {
                pycurl.URL: url,
                pycurl.HTTPHEADER: headers,
                pycurl.CONNECTTIMEOUT_MS: max(1, int(connect * 1000)),
                pycurl.TIMEOUT_MS: max(1, int(read * 1000)) if blocking else 0,
                pycurl.BUFFERSIZE: _SMALL_BUFFER if method == "HEAD" else _BUFFER,
            }
        )
        self._set_method(method, body)
        if blocking:
            self._perform()
            return
        self._multi.add_handle(self.curl)
        self._running = True
        self._read_headers()

    def _set_options(self, options: dict[int, object]) -> None:
        for option, value in options.items():
            if self._set.get(option) != value:
                self.curl.setopt(option, value)
        self._set = options

    def _set_method(self, method: str, body: bytes | None) -> None:
        curl, previous = self.curl, self._method
        self._method = method
        if method == "POST":
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDS, body or b"")
        elif method != previous:
            curl.setopt(pycurl.NOBODY if method == "HEAD" else pycurl.HTTPGET, 1)
        if method == "DELETE":
            curl.setopt(pycurl.CUSTOMREQUEST, method)
        elif previous == "DELETE":
            curl.unsetopt(pycurl.CUSTOMREQUEST)

    def _perform(self) -> None:
        """Send a HEAD and read its response within `read` seconds; raises HttpError."""
        try:
            self.curl.perform()
        except pycurl.error as error:
            code, *message = error.args
            if self._sockets.aborted:
                raise _cancelled() from None
            if code == pycurl.E_OPERATION_TIMEDOUT and not self._sockets.opened:  # the connection existed already
                raise _timed_out() from None
            raise from_curl(self.curl, int(code), str(*message), begun=bool(self._lines)) from None
        self._read_head()
        if self.head is None:
            raise self._error or HttpError(HttpErrorKind.CUT, "the connection was closed")
        self.done = True
        self._sockets.keep(self.curl.getinfo(pycurl.ACTIVESOCKET))

    def _read_headers(self) -> None:
        """Wait up to `read` seconds for all headers, once the request is sent."""
        sent: float | None = None
        while True:
            self._step()
            if len(self._lines) > self._seen:
                self._read_head()
            if self.head:
                return
            if self._error or self.done:
                raise self._error or HttpError(HttpErrorKind.CUT, "the connection was closed")
            now = time.monotonic()
            if sent is None and (not self._sockets.opened or self.curl.getinfo(pycurl.PRETRANSFER_TIME)):
                sent = now
                self._watched = not self._uploads and self._sockets.watch()
            # Until the request is sent, libcurl's connect timeout applies.
            self._wait(_SLICE if sent is None else self._left(sent + self._read))

    def next(self) -> bytes:
        """Return the next bytes of the body as soon as there are any; empty at its end. Raises HttpError."""
        began = time.monotonic()
        while not self._parts and not self.done:
            if self._error:
                raise self._error
            self._step()
            if self._waiting:
                self._wait(self._left(began + self._read))
        parts = self._parts
        data = b"".join(parts.popleft() for _ in range(min(len(parts), _JOINED)))
        self._check_speed(len(data), time.monotonic() - began)
        return data

    def _check_speed(self, count: int, waited: float) -> None:
        """Raise HttpError if too few bytes came during the last `read` seconds of waiting; our own pauses are free."""
        self._came, self._waited = self._came + count, self._waited + waited
        if self._came >= _LEAST_SPEED * self._read:
            self._came, self._waited = 0, 0.0
        elif self._waited > self._read and not self.done:
            raise HttpError(HttpErrorKind.TOO_SLOW, "the response is too slow")

    @property
    def _waiting(self) -> bool:
        return not (self._parts or self.done or self._error)

    @staticmethod
    def _left(deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _timed_out()
        return left

    @property
    def fresh(self) -> bool:
        """Whether nothing arrived on the idle connection since the last response.

        Some servers send a status before they close an idle connection, which libcurl would take for the next response.
        HTTP/2 has its own messages for that.
        """
        return (self.head is not None and self.head.multiplexed) or not self._sockets.wait(0)

    def finish(self) -> bool:
        """End the request; return whether the handle is reusable, which it is not if part of the body is unread."""
        if self._running:
            self._running = False
            if self.done:
                self._sockets.keep(self.curl.getinfo(pycurl.ACTIVESOCKET))
            self._multi.remove_handle(self.curl)
        self._parts.clear()
        return self.done and not self._sockets.aborted

    def abort(self) -> None:
        """Cancel the current request, from any thread, and refuse later ones."""
        self._sockets.abort()

    def close(self) -> None:
        """Close the connections; no other thread may use the handle."""
        self.finish()
        self._multi.close()
        self.curl.close()
        self._share.close()
        self._sockets.close()

    def _step(self) -> None:
        """Let libcurl proceed without waiting; raises HttpError when the request was cancelled."""
        if self._sockets.aborted:
            raise _cancelled()
        _, running = self._multi.perform()
        if running or self.done:
            return
        _, _, failed = self._multi.info_read()
        if not failed:
            self.done = True
        elif self._error is None:
            _, code, message = failed[0]
            self._error = from_curl(self.curl, code, message, begun=bool(self._lines))

    def _wait(self, seconds: float) -> None:
        seconds = min(seconds, _SLICE)
        if self._sockets.opened:  # libcurl has its own timers for a new connection
            timer = self._multi.timeout()
            seconds = seconds if timer < 0 else min(seconds, timer / 1000)
        if seconds <= 0:
            return
        if self._watched:
            self._sockets.wait(max(0.001, seconds))
        elif self._multi.select(seconds) < 0:  # no socket yet, or a descriptor too high for select(2)
            time.sleep(_NO_SOCKET_SLEEP)

    def _read_head(self) -> None:
        self._seen = len(self._lines)
        text = b"".join(self._lines).decode("latin-1")
        if len(text) > LARGEST:
            self._error = HttpError(HttpErrorKind.PROTOCOL, "the response headers are too long")
        else:
            self.head = parse_head(text)


def _timed_out() -> HttpError:
    return HttpError(HttpErrorKind.TIMEOUT, "timed out")


def _cancelled() -> HttpError:
    return HttpError(HttpErrorKind.CLOSED, "cancelled")
