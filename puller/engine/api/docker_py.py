"""Pulls through the Engine API by docker-py's low-level client (`--backend sdk`), which any thread can abort.

docker-py's `images.pull()` discards the stream: a failed pull of a tag that is present returns success. Two private
attributes are used, as neither library has a public hook there: `HTTPConnectionPool._get_conn` of urllib3, to learn
which connection a request uses, and `_new_conn` of docker-py's pool.
"""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any

import docker
import requests
import urllib3
from docker import errors as docker_errors
from docker.tls import TLSConfig
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool

from puller.engine.api.engine import ApiEngine, PullCall
from puller.engine.endpoint import EngineAddress
from puller.errors import EngineError, EngineUnreachableError, FailureKind
from puller.model import PullRequest
from puller.system.credentials import Keyring
from puller.text import clean

_CONNECT_SECONDS = 20
_UNREADABLE = (docker_errors.StreamParseError, json.JSONDecodeError, RecursionError)
_ERRORS = (
    docker_errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError,
    *_UNREADABLE,
)  # fmt: skip
_GONE = (ConnectionRefusedError, FileNotFoundError, urllib3.exceptions.NewConnectionError)
_CUT = (ConnectionError, urllib3.exceptions.ProtocolError, http.client.HTTPException)


class SdkEngine(ApiEngine):
    """An engine by its API, with docker-py for the pulls."""

    _way = "the SDK (API {})"

    def __init__(self, address: EngineAddress, connections: int = 3, keyring: Keyring | None = None) -> None:
        super().__init__(address, connections, keyring)
        try:
            self._docker_py = DockerPy(address, self._version, connections)
        except EngineError as error:
            self._client.close()
            words = clean(f"cannot connect to the engine at {address.url}: {error}")
            raise EngineUnreachableError(words, kind=error.kind) from None

    def close(self) -> None:
        super().close()
        self._docker_py.close()

    def _start_pull(self, request: PullRequest, account: Mapping[str, str]) -> PullCall:
        return SdkCall(self._docker_py, request, account)


class SdkCall:
    """One pull, which starts when its messages are read, and its connection."""

    def __init__(self, client: "DockerPy", request: PullRequest, account: Mapping[str, str]) -> None:
        self._client = client
        self._request = request
        self._account = account
        self._connection: Any = None
        self._response: requests.Response | None = None
        self._aborted = False

    def messages(self) -> Iterator[dict[str, Any]]:
        """Pull, and yield each message of the engine; raises EngineError when the pull fails."""
        reference, platform = self._request.reference, self._request.platform
        self._client.current.call = self
        try:
            for message in self._client.pull(
                reference.name,
                tag=reference.digest or reference.tag,
                platform=str(platform) if platform else None,
                stream=True,
                decode=True,
                auth_config=dict(self._account),
            ):
                if isinstance(message, dict):
                    yield message
        except _ERRORS as error:
            raise _translate(error) from None

    def connected(self, connection: Any) -> None:
        """Record the connection that urllib3 chose; raises ConnectionAbortedError if the pull was aborted before.

        The connection may have no socket yet that could be shut down.
        """
        self._connection = connection
        if self._aborted:
            raise ConnectionAbortedError("the pull was aborted")

    def answered(self, response: requests.Response) -> None:
        """Record the response, so that it is closed however the pull ends."""
        self._response = response
        if self._aborted:
            self.abort()

    def abort(self) -> None:
        """Shut the connection down, from any thread: the engine stops pulling, and the reading thread wakes up."""
        self._aborted = True
        if sock := getattr(self._connection, "sock", None):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the response; with an open one the engine would continue the pull."""
        self._client.current.call = None
        if self._response is not None:
            self._response.close()


class _UnixConnection(UnixHTTPConnection):
    """docker-py's connection, which leaks its socket when it cannot connect."""

    def connect(self) -> None:
        with ExitStack() as stack:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(self.timeout)
            sock.connect(self.unix_socket)
            self.sock = sock
            stack.pop_all()


class DockerPy(docker.APIClient):
    """A docker-py client shared by many threads, each of which may have one `SdkCall` in progress."""

    def __init__(self, address: EngineAddress, version: str, connections: int) -> None:
        """Use this `version` of the API, or the engine's newest; raises EngineError."""
        self.current = threading.local()
        try:
            super().__init__(
                base_url=address.url,
                tls=_tls(address),
                version=version or "auto",
                timeout=_CONNECT_SECONDS,
                max_pool_size=max(connections, 1),
            )
        except _ERRORS as error:
            raise _translate(error) from None
        if isinstance(adapter := self.get_adapter(self.base_url), UnixHTTPAdapter):
            # docker-py keeps a pool with an open connection for each image, up to 25.
            adapter.pools = type(adapter.pools)(max(connections, 1), dispose_func=lambda pool: pool.close())
        # Neither a proxy nor ~/.netrc applies to a local socket, and looking them up takes time at every request.
        self.trust_env = not self.base_url.startswith("http+docker://localhost")

    @property
    def _general_configs(self) -> Mapping[str, Any]:
        """The part of config.json that docker-py uses: no logins, and nothing to search for them.

        Its reading of logins fails for all registries when one entry is odd, and runs helpers without a time limit.
        """
        return {"HttpHeaders": {}}

    @_general_configs.setter
    def _general_configs(self, _: object) -> None:
        pass

    def mount(self, prefix: Any, adapter: Any) -> None:
        """Add an adapter, with a hook to learn the connection of each request."""
        self._watch(adapter)
        super().mount(prefix, adapter)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Use the engine's own CA; requests would let REQUESTS_CA_BUNDLE override it."""
        own = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, own, cert)

    def post(self, url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> requests.Response:
        """Send a request; a pull has no read timeout and can be aborted."""
        call: SdkCall | None = getattr(self.current, "call", None)
        if call is not None:
            kwargs["timeout"] = (_CONNECT_SECONDS, None)
        response = super().post(url, data=data, json=json, **kwargs)
        if call is not None:
            call.answered(response)
        return response

    def _watch(self, adapter: Any) -> None:
        """Record which connection each request gets: before the response arrives, only that can be shut down."""
        find_pool = adapter.get_connection_with_tls_context

        def watched(*args: Any, **kwargs: Any) -> Any:
            pool = find_pool(*args, **kwargs)
            if not hasattr(pool, "puller_watch"):
                pool.puller_watch, get = True, pool._get_conn  # noqa: SLF001

                def get_connection(timeout: float | None = None) -> Any:
                    connection = get(timeout)
                    call: SdkCall | None = getattr(self.current, "call", None)
                    if call is not None:
                        call.connected(connection)
                    return connection

                pool._get_conn = get_connection  # noqa: SLF001
                if isinstance(pool, UnixHTTPConnectionPool):
                    _close_sockets(pool)
            return pool

        adapter.get_connection_with_tls_context = watched


def _close_sockets(pool: Any) -> None:
    pool._new_conn = lambda: _UnixConnection(pool.base_url, pool.socket_path, pool.timeout)  # noqa: SLF001


def _tls(address: EngineAddress) -> TLSConfig | bool:
    if (tls := address.tls) is None:
        return False
    files = tls.client_files
    return TLSConfig(
        client_cert=(str(files[0]), str(files[1])) if files else None,
        ca_cert=str(tls.directory / "ca.pem") if tls.verify else None,
        verify=tls.verify,
    )


def _translate(error: Exception) -> EngineError:
    """Return the EngineError for an exception of docker-py, with the engine's message where there is one."""
    if isinstance(error, docker_errors.APIError):
        return EngineError(str(error.explanation or error), status=error.status_code)
    if isinstance(error, _UNREADABLE):  # perhaps cut in the middle of a message
        words = "the engine's messages about the pull cannot be read"
        return EngineError(words, kind=FailureKind.ENGINE_DISCONNECTED)
    found = _causes(error)
    for cause in found:
        if isinstance(cause, PermissionError):
            return EngineError(f"{cause}: the engine's socket", kind=FailureKind.SOCKET_PERMISSION)
        if isinstance(cause, _GONE):
            return EngineError(f"the engine does not run: {cause}", kind=FailureKind.DAEMON_UNREACHABLE)
    if broken := [cause for cause in found if isinstance(cause, _CUT)]:
        return EngineError(f"the engine closed the connection: {broken[-1]}", kind=FailureKind.ENGINE_DISCONNECTED)
    return EngineError(str(error))


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception, its causes and the exceptions in its arguments, where urllib3 and requests keep theirs."""
    seen = [error]
    for cause in seen:
        nested = (cause.__cause__, cause.__context__, *cause.args, getattr(cause, "reason", None))
        seen.extend(item for item in nested if isinstance(item, BaseException) and item not in seen)
    return seen
