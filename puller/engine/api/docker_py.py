"""Pulls through the Engine API by docker-py's low-level client, taught what it lacks: any thread can break one off.

`images.pull()` is not used: it throws the stream away, so a failed pull of a tag that is present returns success.
"""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import docker
import requests
import urllib3
from docker import errors as docker_errors
from docker.tls import TLSConfig
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool

from puller.engine.endpoint import Endpoint
from puller.errors import EngineError, FailureKind, causes
from puller.model import PullRequest

_CONNECT_SECONDS = 20.0
_TROUBLE = (docker_errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
_GONE = (ConnectionRefusedError, FileNotFoundError, urllib3.exceptions.NewConnectionError)
_BROKEN_OFF = (ConnectionError, urllib3.exceptions.ProtocolError, http.client.HTTPException)


class DockerPy:
    """The client, shared by all threads that pull."""

    def __init__(self, endpoint: Endpoint, version: str, connections: int) -> None:
        """Speak this version of the API; raises EngineError."""
        try:
            self._client = _Client(
                base_url=endpoint.host,
                tls=_tls(endpoint),
                version=version or "auto",
                timeout=_CONNECT_SECONDS,
                max_pool_size=max(connections, 1),
            )
        except _TROUBLE as error:
            raise _translate(error) from None

    def begin(self, request: PullRequest) -> "Call":
        """Return a pull that starts when its messages are read."""
        return Call(self._client, request)

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()


class Call:
    """One pull under way, and the connection it speaks on."""

    def __init__(self, client: "_Client", request: PullRequest) -> None:
        self._client = client
        self._request = request
        self._connection: Any = None
        self._response: requests.Response | None = None
        self._aborted = False

    def messages(self) -> Iterator[dict[str, Any]]:
        """Pull, and yield each message of the engine; raises EngineError when there is no whole answer."""
        reference, platform = self._request.reference, self._request.platform
        self._client.current.call = self
        try:
            for message in self._client.pull(
                reference.name,
                tag=reference.digest or reference.tag,
                platform=str(platform) if platform else None,
                stream=True,
                decode=True,
            ):
                if isinstance(message, dict):
                    yield message
        except _TROUBLE as error:
            raise _translate(error) from None

    def speak_on(self, connection: Any) -> None:
        """Remember the connection that urllib3 chose; one that was chosen too late is closed at once."""
        self._connection = connection
        if self._aborted:
            self.abort()

    def answered(self, response: requests.Response) -> None:
        """Remember the response, so that it can be closed however the pull ends."""
        self._response = response

    def abort(self) -> None:
        """Break the connection off from any thread: the engine stops pulling, the reading thread wakes up."""
        self._aborted = True
        if sock := getattr(self._connection, "sock", None):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the response: a stream that was not read to its end would go on in the engine."""
        self._client.current.call = None
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


class _Client(docker.APIClient):
    """A docker-py client shared by many threads, each of which may have one `Call` under way."""

    def __init__(self, **kwargs: Any) -> None:
        self.current = threading.local()
        super().__init__(**kwargs)
        # On a socket of this machine no proxy and no .netrc has a say, and looking them up costs every request.
        self.trust_env = not self.base_url.startswith("http+docker://localhost")

    def mount(self, prefix: Any, adapter: Any) -> None:
        """Watch every adapter from its first request on."""
        self._watch(adapter)
        super().mount(prefix, adapter)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Keep the engine's own CA: requests lets REQUESTS_CA_BUNDLE, meant for the web, override it."""
        own = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, own, cert)

    def post(self, url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> requests.Response:
        """Send a request; for a call no read limit of docker-py's holds, and the answer can be broken off."""
        call: Call | None = getattr(self.current, "call", None)
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
                    call: Call | None = getattr(self.current, "call", None)
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


def _tls(endpoint: Endpoint) -> TLSConfig | bool:
    if endpoint.tls is None:
        return False
    folder = endpoint.tls.directory
    certificate, key = folder / "cert.pem", folder / "key.pem"
    return TLSConfig(
        client_cert=(str(certificate), str(key)) if certificate.exists() and key.exists() else None,
        ca_cert=str(folder / "ca.pem") if endpoint.tls.verify else None,
        verify=endpoint.tls.verify,
    )


def _translate(error: Exception) -> EngineError:
    """Turn what docker-py raises into the engine's words, or say why there are none."""
    if isinstance(error, docker_errors.APIError):
        return EngineError(str(error.explanation or error), status=error.status_code)
    found = list(causes(error))
    for cause in found:
        if isinstance(cause, PermissionError):
            return EngineError(f"{cause}: the engine's socket", kind=FailureKind.SOCKET_PERMISSION)
        if isinstance(cause, _GONE):
            return EngineError(f"the engine is gone: {cause}", kind=FailureKind.DAEMON_UNREACHABLE)
    if broken := [cause for cause in found if isinstance(cause, _BROKEN_OFF)]:
        return EngineError(f"the engine broke off: {broken[-1]}", kind=FailureKind.ENGINE_DISCONNECTED)
    return EngineError(str(error))
