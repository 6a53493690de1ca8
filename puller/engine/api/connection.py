"""docker-py's client, taught what it lacks: a pull that another thread can break off."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import docker
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool

if TYPE_CHECKING:
    from requests import Response


_CONNECT_SECONDS = 20.0


class Call:
    """One pull under way, and the connection it speaks on."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._response: Response | None = None
        self._aborted = False

    def speak_on(self, connection: Any) -> None:
        """Remember the connection that urllib3 chose; one that was chosen too late is closed at once."""
        self._connection = connection
        if self._aborted:
            self.abort()

    def answered(self, response: "Response") -> None:
        """Remember the response, so that it can be closed however the pull ends."""
        self._response = response

    def abort(self) -> None:
        """Break the connection off from any thread: the engine stops pulling, the reading thread wakes up."""
        self._aborted = True
        if sock := getattr(self._connection, "sock", None):
            with suppress(OSError, AttributeError):  # what stands in for a socket over ssh has no shutdown
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the response: a stream that was not read to its end would go on in the engine."""
        if self._response is not None:
            self._response.close()


class _UnixConnection(UnixHTTPConnection):
    """docker-py's own, but for the socket that it forgets when nobody listens."""

    def connect(self) -> None:
        """Connect, or leave nothing open."""
        with ExitStack() as stack:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(self.timeout)
            sock.connect(self.unix_socket)
            self.sock = sock
            stack.pop_all()


class StoppableClient(docker.APIClient):
    """A docker-py client shared by many threads, each of which may have one `Call` under way."""

    def __init__(self, **kwargs: Any) -> None:
        self._current = threading.local()
        self.server: str | None = None
        """What the engine calls itself, such as `Docker/28.5.2 (linux)` or `Libpod/4.3.1 (linux)`; None: not asked."""
        super().__init__(**kwargs)
        # On a socket of this machine no proxy and no .netrc has a say, and looking them up costs every request.
        self.trust_env = not self.base_url.startswith("http+docker://localhost")

    def mount(self, prefix: Any, adapter: Any) -> None:
        """Watch every adapter from its first request on."""
        self._watch(adapter)
        super().mount(prefix, adapter)

    def version(self, api_version: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - docker-py's signature
        """Learn the API version, and what the engine calls itself, from the headers of `GET /_ping`.

        docker-py would ask `/version`, for which the engine starts other programs.
        """
        response = self.get(f"{self.base_url}/_ping", timeout=self.timeout)
        response.raise_for_status()
        self.server = response.headers.get("Server", "")
        if "Api-Version" not in response.headers:
            return super().version(api_version)
        return {"ApiVersion": response.headers["Api-Version"]}

    @contextmanager
    def calling(self, call: Call) -> Iterator[None]:
        """Tie this thread's next requests to `call`, and close what they opened at the end of the block."""
        self._current.call = call
        try:
            yield
        finally:
            self._current.call = None
            call.close()

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Keep the engine's own CA: requests lets REQUESTS_CA_BUNDLE, meant for the web, override it."""
        own = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, own, cert)

    def post(self, url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> "Response":
        """Send a request; inside `calling`, no read limit of docker-py's holds, and the answer can be broken off."""
        call: Call | None = getattr(self._current, "call", None)
        if call is not None:
            kwargs["timeout"] = (_CONNECT_SECONDS, None)
        response = super().post(url, data=data, json=json, **kwargs)
        if call is not None:
            call.answered(response)
        return response

    def _watch(self, adapter: Any) -> None:
        """Learn which connection each request gets: until an answer comes, nothing else can break it off."""
        find_pool = adapter.get_connection_with_tls_context

        def watched(*args: Any, **kwargs: Any) -> Any:
            pool = find_pool(*args, **kwargs)
            if not hasattr(pool, "puller_watch"):
                pool.puller_watch, get = True, pool._get_conn  # noqa: SLF001 - urllib3 offers no hook here

                def get_connection(timeout: float | None = None) -> Any:
                    connection = get(timeout)
                    call: Call | None = getattr(self._current, "call", None)
                    if call is not None:
                        call.speak_on(connection)
                    return connection

                pool._get_conn = get_connection  # noqa: SLF001
                if isinstance(pool, UnixHTTPConnectionPool):
                    _let_close(pool)
            return pool

        adapter.get_connection_with_tls_context = watched


def _let_close(pool: Any) -> None:
    pool._new_conn = lambda: _UnixConnection(pool.base_url, pool.socket_path, pool.timeout)  # noqa: SLF001
