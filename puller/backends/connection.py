"""docker-py's client, taught two things it lacks: a deadline for a pull, and an end from another thread."""

import socket
import threading
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import docker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

_CONNECT_SECONDS = 20.0
_LEAST = 0.001
"""Seconds: a socket takes no time limit of nought."""


class Call:
    """One pull under way: its deadline, and the connection it speaks on."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._connection: Any = None
        self._response: Response | None = None
        self._aborted = False

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline is not None and monotonic() >= self._deadline

    @property
    def remaining(self) -> float | None:
        """Seconds left; None where there is no deadline."""
        return None if self._deadline is None else max(_LEAST, self._deadline - monotonic())

    def speak_on(self, connection: Any) -> None:
        """Remember the connection that urllib3 chose; one that was chosen too late is closed at once."""
        self._connection = connection
        if self._aborted:
            self.abort()

    def answered(self, response: "Response") -> None:
        """Remember the response, so that it can be closed however the pull ends."""
        self._response = response

    def tighten(self) -> None:
        """Give the next read no more than what is left of the deadline; raise TimeoutError when nothing is."""
        if self._deadline is None:
            return
        if self.expired:
            raise TimeoutError
        if sock := getattr(self._connection, "sock", None):
            sock.settimeout(self.remaining)

    def abort(self) -> None:
        """Break the connection off from any thread: the engine stops pulling, the reading thread wakes up."""
        self._aborted = True
        if sock := getattr(self._connection, "sock", None):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the response: a stream that was not read to its end would go on in the engine."""
        if self._response is not None:
            self._response.close()


class StoppableClient(docker.APIClient):
    """A docker-py client shared by many threads, each of which may have one `Call` under way."""

    def __init__(self, **kwargs: Any) -> None:
        self._current = threading.local()
        self.server = ""
        """What the engine calls itself, such as `Docker/28.5.2 (linux)` or `Libpod/4.3.1 (linux)`."""
        super().__init__(**kwargs)
        # On a socket of this machine no proxy and no .netrc has a say, and looking them up costs every request.
        self.trust_env = not self.base_url.startswith("http+docker://localhost")
        for adapter in set(self.adapters.values()):
            self._watch(adapter)

    def version(self, api_version: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - docker-py's signature
        """Learn the API version, and what the engine calls itself, from the headers of `GET /_ping`.

        docker-py would ask `/version`, for which the engine starts other programs.
        """
        response = self.get(f"{self.base_url}/_ping", timeout=self.timeout)
        response.raise_for_status()
        if "Api-Version" not in response.headers:
            return super().version(api_version)
        self.server = response.headers.get("Server", "")
        return {"ApiVersion": response.headers["Api-Version"]}

    @contextmanager
    def calling(self, call: Call) -> "Iterator[None]":
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
        """Send a request; inside `calling`, docker-py's own `timeout=None` gives way to the call's deadline."""
        call: Call | None = getattr(self._current, "call", None)
        if call is not None:
            kwargs["timeout"] = (_CONNECT_SECONDS, call.remaining)
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
            return pool

        adapter.get_connection_with_tls_context = watched
