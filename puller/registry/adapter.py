"""requests' transport, taught what it lacks: TLS settings of our own, one time limit, an end from any thread."""

import socket
import ssl
import threading
import weakref
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

if TYPE_CHECKING:
    from urllib3 import PoolManager

_HOSTS = 8
"""Pools kept: the registry, its token server, and where it redirects to."""
_FAIR = 1.0
"""Seconds that each of several addresses is worth, at least."""
_LEAST = 0.001
"""Seconds: a socket takes no time limit of nought."""


class Connections:
    """Every connection that is open, so that one call ends them all; and how they are opened."""

    def __init__(self, receive_buffer: int | None = None) -> None:
        """Let the kernel take in no more than about so many bytes ahead on each; None leaves it to the kernel."""
        self._receive_buffer = receive_buffer
        self._open: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    def dial(self, connection: HTTPConnection) -> socket.socket:
        """Connect to the first address that answers; raises what urllib3 expects."""
        return _dial(connection, self._receive_buffer)

    def opened(self, connection: HTTPConnection) -> None:
        """Remember a connection; one that comes too late is broken off at once."""
        with self._lock:
            self._open.add(connection)
            late = self._closed
        if late:
            _break(connection)

    def close(self) -> None:
        """Break all of them off: whoever reads from one gets an error."""
        with self._lock:
            self._closed = True
            connections = list(self._open)
        for connection in connections:
            _break(connection)


class Adapter(HTTPAdapter):
    """Connects with the TLS settings that it was given, whatever requests would have chosen.

    What requests works out anew for every request (which pool, cookies, encoding) costs it as much as the request.
    """

    def __init__(self, context: ssl.SSLContext, connections: Connections, kept: int) -> None:
        """Keep up to `kept` connections to each host; nothing is retried here."""
        self._context = context
        self._pools = _pool_classes(connections)
        self._found: dict[tuple[str, ...], Any] = {}
        super().__init__(pool_connections=_HOSTS, pool_maxsize=kept, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*args, **kwargs)
        self._adopt(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> "PoolManager":
        """Make the pools of connections through a proxy."""
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        return self._adopt(manager)

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        """Hand our TLS settings to urllib3, instead of what `verify` and `cert` say."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context, "cert_reqs": self._context.verify_mode}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Find the pool of a host, once for each way to it; one that urllib3 has closed to make room is found anew."""
        scheme, _, rest = str(request.url).partition("://")
        key = (scheme, rest.partition("/")[0], *(proxies or {}).values())
        pool = self._found.get(key)
        if pool is None or pool.pool is None:
            pool = self._found[key] = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return pool

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Make an answer of what urllib3 has: no cookies are kept, and no text is read."""
        response = Response()
        response.status_code, response.url, response.request, response.raw = resp.status, str(req.url), req, resp
        response.headers = CaseInsensitiveDict(resp.headers)
        return response

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the connection's TLS settings as they are."""

    def _adopt(self, manager: "PoolManager") -> "PoolManager":
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pool_classes(connections: Connections) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connections.dial(self)

        def connect(self) -> None:
            super().connect()
            connections.opened(self)

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connections.dial(self)

        def connect(self) -> None:
            super().connect()
            self.is_verified = True  # or chosen not to be: urllib3 would warn at every request
            connections.opened(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def _break(connection: HTTPConnection) -> None:
    if sock := getattr(connection, "sock", None):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _dial(connection: HTTPConnection, receive_buffer: int | None) -> socket.socket:
    """Connect to the first address that answers; urllib3 would give each of them the whole time limit."""
    host, limit = connection.host.strip("[]"), float(connection.timeout or 0)
    deadline = monotonic() + limit
    try:
        addresses = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    failure: OSError = TimeoutError()
    for place, (family, kind, protocol, _, address) in enumerate(addresses):
        left = deadline - monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if receive_buffer is not None:  # the window of a connection is agreed upon when it begins
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.settimeout(min(left, max(_FAIR, left / (len(addresses) - place))))
            sock.connect(address)
            sock.settimeout(max(_LEAST, limit))
        except OSError as error:
            failure = error
            sock.close()
        else:
            return sock
    kind_of_failure = ConnectTimeoutError if isinstance(failure, TimeoutError) else NewConnectionError
    raise kind_of_failure(connection, str(failure)) from failure
