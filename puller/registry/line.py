"""HEAD on kept connections, with nothing between it and the socket (RFC 9112, of which a HEAD needs little).

A run that finds nothing to do is little else than these questions, thousands of them. Python's http.client takes four
times the processor time of this, requests with urllib3 ten times. Whatever is more than a HEAD goes through those.
"""

import errno
import re
import select
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from puller.registry.failures import trouble
from puller.registry.reply import Reply

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from puller.registry.connections import Connections

_PORTS = {"http": 80, "https": 443}
_LARGEST = 64 << 10
"""Bytes of a status with its headers."""
_CHUNK = 16 << 10
_STATUS = re.compile(r"HTTP/1\.(?P<minor>[01]) (?P<status>[1-9]\d\d)(?: .*)?")
_END = re.compile(rb"\r?\n\r?\n")
_INFORMATION = range(100, 200)


class _Connection:
    """One connection, opened by `Connections`."""

    def __init__(self, line: "Line", timeout: tuple[float, float]) -> None:
        connect, read = timeout
        self.sock = line.connections.dial(line.host, line.port, connect)
        self.kept = False
        """Whether it takes another question, as far as the last answer tells."""
        self._patience = 2 * read
        self._news = select.poll()
        try:
            if line.context:
                self.sock = line.context.wrap_socket(self.sock, server_hostname=line.host)
            self.sock.settimeout(read)
            line.connections.opened(self)
            self._news.register(self.sock, select.POLLIN)
        except BaseException:
            self.sock.close()
            raise

    @property
    def fresh(self) -> bool:
        """Whether nothing has come since the last answer: some servers end what is idle with a status of their own."""
        return not self._news.poll(0)

    def ask(self, question: bytes) -> tuple[int, dict[str, str]]:
        """Send a HEAD, and read status and headers; raises OSError."""
        self.kept, ends = False, monotonic() + self._patience
        self.sock.sendall(question)
        data = b""
        while True:
            end = _END.search(data)
            while end is None:
                chunk = self.sock.recv(_CHUNK)
                if not chunk or len(data) > _LARGEST:
                    raise _no_answer("it hangs up" if not chunk else "its headers have no end")
                if monotonic() > ends:
                    raise TimeoutError
                data += chunk
                end = _END.search(data)
            head, data = data[: end.start()], data[end.end() :]
            status, headers, self.kept = _read(head.decode("latin-1"))
            if status not in _INFORMATION:
                break
        if data:  # a body, which there must not be: nobody knows where it ends
            self.kept = False
        return status, headers


class Line:
    """Kept connections to one server, for many threads."""

    def __init__(
        self, registry: str, scheme: str, address: str, context: "ssl.SSLContext", connections: "Connections", kept: int
    ) -> None:
        """`registry` is who trouble is blamed on; up to `kept` connections wait for the next question."""
        self.host, _, port = address.partition(":")
        self.port = int(port or _PORTS[scheme])
        self.context = context if scheme == "https" else None
        self.connections = connections
        self._registry = registry
        self._address = address
        self._kept = kept
        self._idle: deque[_Connection] = deque()

    def head(self, url: str, path: str, headers: "Mapping[str, str]", timeout: tuple[float, float]) -> Reply:
        """Send a HEAD for what can be written as it is; raises RegistryTroubleError.

        A kept connection may have been closed by the server meanwhile, so that a new one has its turn, too.
        """
        try:
            question = _written(path, {"Host": self._address, **headers})
            if kept := self._kept_one():
                try:
                    return self._ask(kept, url, question)
                except TimeoutError:
                    raise
                except OSError:
                    pass
            return self._ask(_Connection(self, timeout), url, question)
        except (OSError, ValueError, OverflowError) as error:
            raise trouble(self._registry, error) from error

    def close(self) -> None:
        """Close the connections that are not in use."""
        while kept := self._kept_one():
            kept.sock.close()

    def _kept_one(self) -> _Connection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.fresh:
                return connection
            connection.sock.close()

    def _ask(self, connection: _Connection, url: str, question: bytes) -> Reply:
        try:
            status, headers = connection.ask(question)
        except BaseException:
            connection.sock.close()
            raise
        if connection.kept and len(self._idle) < self._kept:
            self._idle.append(connection)
        else:
            connection.sock.close()
        return Reply(status, headers, url)


def _no_answer(words: str) -> ConnectionError:
    return ConnectionError(errno.EPROTO, words)


def _written(path: str, headers: "Mapping[str, str]") -> bytes:
    lines = [f"HEAD {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header of several lines")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def _read(head: str) -> tuple[int, dict[str, str], bool]:
    """Read a status with its headers, names in small letters; say, too, whether the connection stays open."""
    first, *lines = head.replace("\r\n", "\n").split("\n")
    match = _STATUS.fullmatch(first)
    if match is None:
        raise _no_answer("it does not speak HTTP")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        # What comes several times is one list (RFC 9110 "Field Order").
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    wish = headers.get("connection", "").lower()
    return int(match["status"]), headers, "close" not in wish if match["minor"] == "1" else "keep-alive" in wish
