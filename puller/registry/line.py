"""HEAD over kept connections, with no more between it and the socket than Python's own http.client.

A run that finds nothing to do is little else than these questions. What requests and urllib3 work out for each
(a prepared request, a pool, retries, two more sets of headers) costs three times the processor time of the question.
"""

from collections import deque
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from puller.registry.failures import trouble
from puller.registry.reply import Reply

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from puller.registry.connections import Connections

_TROUBLE = (OSError, HTTPException, ValueError)
_PORTS = {"http": 80, "https": 443}


class _Connection(HTTPConnection):
    """One connection, opened by `Connections`."""

    def __init__(
        self, address: str, context: "ssl.SSLContext | None", connections: "Connections", timeout: tuple[float, float]
    ) -> None:
        self.default_port = _PORTS["https" if context else "http"]
        self._context = context
        self._connections = connections
        self._limits = timeout
        super().__init__(address)

    def connect(self) -> None:
        """Connect, with TLS where there is a context."""
        connect, read = self._limits
        self.sock = self._connections.dial(self.host, self.port, connect)
        if self._context:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host.strip("[]"))
        self.sock.settimeout(read)
        self._connections.opened(self)


class Line:
    """Kept connections to one server, for many threads."""

    def __init__(
        self, registry: str, scheme: str, address: str, context: "ssl.SSLContext", connections: "Connections", kept: int
    ) -> None:
        """`registry` is who trouble is blamed on; up to `kept` connections wait for the next question."""
        self._registry = registry
        self._address = address
        self._context = context if scheme == "https" else None
        self._connections = connections
        self._kept = kept
        self._idle: deque[_Connection] = deque()

    def head(self, url: str, path: str, headers: "Mapping[str, str]", timeout: tuple[float, float]) -> Reply:
        """Send a HEAD; raises RegistryTroubleError.

        A kept connection may have been closed by the server meanwhile, so that a new one has its turn, too.
        """
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._ask(self._new(timeout), url, path, headers)
            try:
                return self._ask(connection, url, path, headers)
            except (HTTPException, ConnectionError):
                return self._ask(self._new(timeout), url, path, headers)
        except _TROUBLE as error:
            raise trouble(self._registry, error) from error

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    def _new(self, timeout: tuple[float, float]) -> _Connection:
        return _Connection(self._address, self._context, self._connections, timeout)

    def _ask(self, connection: _Connection, url: str, path: str, headers: "Mapping[str, str]") -> Reply:
        try:
            connection.request("HEAD", path, headers=headers)
            response = connection.getresponse()
            response.read()  # nothing, and yet that is what makes the connection ready for the next question
        except BaseException:
            connection.close()
            raise
        if connection.sock and len(self._idle) < self._kept:
            self._idle.append(connection)
        else:
            connection.close()
        return Reply(response.status, _joined(response.getheaders()), url)


def _joined(headers: "list[tuple[str, str]]") -> dict[str, str]:
    """Join what comes several times (RFC 9110 "Field Order")."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found
