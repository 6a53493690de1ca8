"""HEAD on kept connections, with nothing between it and the socket.

A run that finds nothing to do is little else than these questions, thousands of them. Python's http.client takes four
times the processor time of this, requests with urllib3 ten times. Whatever is more than a HEAD goes through those.
"""

import select
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from puller.httphead import Head, read_head
from puller.registry.connections import Connections
from puller.registry.errors import trouble
from puller.registry.host import PORTS
from puller.registry.reply import Reply

if TYPE_CHECKING:
    import ssl


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

    def ask(self, question: bytes) -> Head:
        """Send a HEAD, and read the answer; raises OSError."""
        self.kept = False
        self.sock.sendall(question)
        head = read_head(self.sock, self._patience)
        self.kept = head.stays and not head.rest  # of a body, which there must not be, nobody knows the end
        return head


class Line:
    """Kept connections to one server, for many threads."""

    def __init__(
        self, registry: str, scheme: str, address: str, context: "ssl.SSLContext", connections: Connections, kept: int
    ) -> None:
        """`registry` is who trouble is blamed on; up to `kept` connections wait for the next question."""
        self.host, _, port = address.partition(":")
        self.port = int(port or PORTS[scheme])
        self.context = context if scheme == "https" else None
        self.connections = connections
        self._registry = registry
        self._address = address
        self._kept = kept
        self._idle: deque[_Connection] = deque()

    def head(self, url: str, path: str, headers: Mapping[str, str], timeout: tuple[float, float]) -> Reply:
        """Send a HEAD for what can be written as it is; raises RegistryError.

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
            head = connection.ask(question)
        except BaseException:
            connection.sock.close()
            raise
        if connection.kept and len(self._idle) < self._kept:
            self._idle.append(connection)
        else:
            connection.sock.close()
        return Reply(head.status, head.headers, url)


def _written(path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"HEAD {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header of several lines")
    return "\r\n".join((*lines, "", "")).encode("latin-1")
