"""One request that came to the proxy, and all that an action may do with it."""

from __future__ import annotations

import http.client
import http.server
import io
import select
import socket
import struct
import termios
import time
from contextlib import closing
from dataclasses import dataclass
from fcntl import ioctl
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

CHUNK = 64 << 10
UPSTREAM_SECONDS = 60.0
POLL_SECONDS = 0.02
# Headers that belong to one connection, or that are set anew because the body may be changed.
HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class ProxyClosedError(ConnectionError):
    """The proxy closes, whatever is still under way ends."""


@dataclass(frozen=True)
class Answer:
    """What the registry answers: the body is still to be read from the source, `size` bytes of it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    size: int
    source: http.client.HTTPResponse | io.BytesIO


class Owner(Protocol):
    """What an exchange must know of its proxy."""

    upstream: str
    closing: threading.Event

    def serve(self, exchange: Exchange) -> None:
        """Choose an action for a request and carry it out."""

    def enter(self, connection: socket.socket) -> None:
        """Remember a connection of the current thread."""

    def leave(self, connection: socket.socket) -> None:
        """Forget a connection of the current thread."""


class Exchange(http.server.BaseHTTPRequestHandler):
    """A request with the means to forward, answer, slow down or break it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: Owner
    body: bytes
    # What the log shall say of it; `note` passes that on.
    status: int | None
    ended: float | None
    sent: int
    note: Callable[[], None]

    def handle(self) -> None:
        """Serve the requests of one connection until either side ends it."""
        try:
            self.owner.enter(self.connection)
            # An engine first tries TLS: without an answer to its hello it may wait for a handshake timeout.
            if self.connection.recv(1, socket.MSG_PEEK) == b"\x16":
                self.connection.sendall(b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n")
                return
            super().handle()
        except (OSError, http.client.HTTPException):
            self.close_connection = True
        finally:
            self.owner.leave(self.connection)

    def serve(self) -> None:
        """Take the request in, whole, and hand it to the proxy."""
        self.status = self.ended = None
        self.sent = 0
        # A body left unread would be taken for the next request.
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.owner.serve(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - the base class's names

    def log_message(self, *_: object) -> None:
        """Print nothing: the proxy keeps a log of its own."""

    def forward(self) -> None:
        """Pass the request on and the answer back, untouched."""
        with closing(self.ask()) as connection:
            answer = self.answer_of(connection)
            self.head(answer)
            self.copy(answer)

    def ask(self) -> http.client.HTTPConnection:
        """Send the request to the registry and return the connection on which it will answer."""
        connection = http.client.HTTPConnection(self.owner.upstream, timeout=UPSTREAM_SECONDS)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        # One by one: engines send several Accept lines, and a registry that sees only one answers with something else.
        for name, value in self.headers.items():
            if name.lower() not in HOP_HEADERS:
                connection.putheader(name, value)
        if self.body or self.command in {"POST", "PUT", "PATCH"}:
            connection.putheader("Content-Length", str(len(self.body)))
        connection.endheaders(self.body or None)
        return connection

    def answer_of(self, connection: http.client.HTTPConnection) -> Answer:
        """Read the head of the registry's answer; a body of unknown length is read at once."""
        response = connection.getresponse()
        headers = tuple((name, value) for name, value in response.getheaders() if name.lower() not in HOP_HEADERS)
        if self.command == "HEAD":
            size = int(response.getheader("Content-Length") or 0)
            return Answer(response.status, headers, size, io.BytesIO())
        if response.length is None:
            data = response.read()
            return Answer(response.status, headers, len(data), io.BytesIO(data))
        return Answer(response.status, headers, response.length, response)

    def head(self, answer: Answer, *, size: int | None = None) -> None:
        """Send the head of an answer, with another length if one is given."""
        self.status = answer.status
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        size = answer.size if size is None else size
        if answer.status != http.client.NO_CONTENT:
            self.send_header("Content-Length", str(size))
        self._left = 0 if self.command == "HEAD" else size
        self.note()
        if not self._left:
            self.finish_record()
        self.end_headers()

    def copy(self, answer: Answer, count: int | None = None) -> int:
        """Send on up to `count` bytes of the body (default: the rest), and return how many there were."""
        sent = 0
        while not self.owner.closing.is_set():
            data = answer.source.read(CHUNK if count is None else min(CHUNK, count - sent))
            if not data:
                break
            self.send(data)
            sent += len(data)
        return sent

    def send(self, data: bytes) -> None:
        """Send a piece of the body.

        The end is recorded ahead of the last byte: a client that has it may ask for the next thing at once, and the
        two requests must not seem to overlap.
        """
        self._left -= len(data)
        self.sent += len(data)
        if self._left:
            self.wfile.write(data)
        else:
            self.wfile.write(data[:-1])
            self.finish_record()
            self.wfile.write(data[-1:])

    def finish_record(self) -> None:
        """Record that the request is over, unless that was done before."""
        if self.ended is None:
            self.ended = time.monotonic()
            self.note()

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer without asking the registry."""
        self.head(Answer(status, tuple(headers.items()), len(body), io.BytesIO()))
        if body and self.command != "HEAD":
            self.send(body)

    def pause(self, seconds: float, until: threading.Event | None = None) -> None:
        """Wait for some time, or until an event; raises ConnectionError when the proxy closes or the client leaves."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not (until and until.is_set()):
            if self.owner.closing.wait(min(POLL_SECONDS, left)):
                raise ProxyClosedError
            if select.select([self.connection], [], [], 0)[0] and not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError

    def hang_up(self) -> None:
        """End the connection in an orderly way (FIN), wherever the answer stands."""
        self.close_connection = True
        self.finish_record()
        self.connection.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Break the connection with a real RST, after what was sent has been received."""
        self.close_connection = True
        # An RST throws away what still waits to be sent, so let that go out first.
        while ioctl(self.connection, termios.TIOCOUTQ, bytes(4)) != bytes(4):
            self.pause(POLL_SECONDS)
        self.finish_record()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The read buffer holds the socket open, whatever close() says: take the descriptor itself.
        socket.close(self.connection.detach())
