"""requests' transport, taught what it lacks: TLS settings of our own, one time limit, an end from any thread."""

import socket
import ssl
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from puller.registry.connections import Connections, SlowToConnectError

if TYPE_CHECKING:
    from urllib3 import PoolManager


_HOSTS = 8
"""Pools kept: the registry, its token server, and where it redirects to."""


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
            return _dial(self, connections)

        def connect(self) -> None:
            super().connect()
            connections.opened(self)

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _dial(self, connections)

        def connect(self) -> None:
            super().connect()
            self.is_verified = True  # or chosen not to be: urllib3 would warn at every request
            connections.opened(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def _dial(connection: HTTPConnection, connections: Connections) -> socket.socket:
    """Connect; raises what urllib3 expects."""
    try:
        return connections.dial(connection.host, connection.port, float(connection.timeout or 0))
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except SlowToConnectError as error:
        raise ConnectTimeoutError(connection, str(error)) from error
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error
