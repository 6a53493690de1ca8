"""The engine through its API, by docker-py's low-level client; docker-py's only home, and urllib3's with it.

`images.pull()` is not used: it throws the stream away, so a failed pull of a tag that is present returns success.
"""

import http.client
import os
from collections.abc import Iterator
from typing import Any

import requests
import urllib3
from docker import errors as docker_errors
from docker.tls import TLSConfig

from puller.cancellation import Cancellation
from puller.engine.api.connection import Call, StoppableClient
from puller.engine.api.images import SdkImageStore
from puller.engine.api.unix import Welcome
from puller.engine.endpoint import Endpoint, is_local
from puller.engine.errors import of_the_socket, unreachable
from puller.engine.interface import NOTHING, InspectedImage, ProgressSink
from puller.engine.progress import PullStream, inspected_name
from puller.engine.responses import read_inspected
from puller.engine.timeouts import AttemptTimer, LastActivity
from puller.errors import EngineError, EngineUnreachableError
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts

_CONNECT_SECONDS = 20
"""For everything but a pull: the engine is near, or it is not there."""
_ALIVE_SECONDS = 3
_TROUBLE = (docker_errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class ApiEngine:
    """Pulls by `POST /images/create` (Engine API), reading every message of the stream."""

    def __init__(self, endpoint: Endpoint, connections: int = 3, welcome: Welcome | None = None) -> None:
        """Connect and ask for the version, unless a `welcome` has told it already; raises EngineUnreachableError."""
        self._endpoint = endpoint
        version = (welcome and welcome.version) or os.environ.get("DOCKER_API_VERSION") or "auto"
        try:
            self._client = _client(endpoint, version, connections=connections)
            if self._client.server is None and welcome is None:
                self._client.version()
        except _TROUBLE as error:
            raise EngineUnreachableError(unreachable(error, endpoint.host)) from None
        self._welcome = welcome or Welcome(self._client.api_version, self._client.server or "")
        self._pulse = LastActivity()
        self.store = SdkImageStore(self._client, local=is_local(endpoint.host), trouble=_TROUBLE, translate=_translate)

    @property
    def engine(self) -> str:
        """The engine's version, and that the SDK leads to it."""
        return self._welcome.engine

    def pull(
        self,
        request: PullRequest,
        *,
        cancel: Cancellation,
        clocks: Timeouts,
        progress: ProgressSink,
    ) -> EngineResult:
        """Read one pull's stream to its end; see `Backend.pull`."""
        before = self.inspect(request.reference, cancel=cancel) if self._welcome.silent else NOTHING
        watch = AttemptTimer(clocks, self._pulse)
        stream = PullStream(request, progress, watch)
        call = Call()
        try:
            with self._client.calling(call), cancel.hook(call.abort), watch.guarding(call.abort):
                for message in self._messages(request):
                    cancel.check()
                    _feed(stream, message)
        except _TROUBLE as error:
            cancel.check()
            raise (watch.failure or _translate(error)) from None
        cancel.check()  # behind TLS, what we broke off ourselves may look like an end in good order
        if watch.failure:
            raise watch.failure
        return stream.pulled(before, lambda: self.inspect(request.reference, cancel=cancel))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Ask for one image; see `Backend.inspect`."""
        call = Call()
        try:
            with self._client.calling(call), cancel.hook(call.abort):
                image: dict[str, Any] = self._client.inspect_image(inspected_name(reference))  # type: ignore[no-untyped-call]
            return read_inspected(image, reference)
        except docker_errors.NotFound:
            return NOTHING
        except (*_TROUBLE, AttributeError, TypeError):
            cancel.check()
            return None

    def alive(self) -> bool:
        """Ask `GET /_ping` on a connection of its own: a kept one may be broken although the engine is back."""
        try:
            client = _client(self._endpoint, self._client.api_version, seconds=_ALIVE_SECONDS)
            try:
                return client.ping()
            finally:
                client.close()
        except Exception:  # noqa: BLE001 - whatever it is, the engine does not answer
            return False

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def _messages(self, request: PullRequest) -> Iterator[dict[str, Any]]:
        reference = request.reference
        messages = self._client.pull(
            reference.name,
            tag=reference.digest or reference.tag,
            platform=str(request.platform) if request.platform else None,
            stream=True,
            decode=True,
        )
        yield from (message for message in messages if isinstance(message, dict))


def _client(
    endpoint: Endpoint, version: str, *, seconds: float = _CONNECT_SECONDS, connections: int = 1
) -> StoppableClient:
    return StoppableClient(
        base_url=endpoint.host, tls=_tls(endpoint), version=version, timeout=seconds, max_pool_size=max(connections, 1)
    )


def _feed(stream: PullStream, message: dict[str, Any]) -> None:
    if error := message.get("error") or message.get("errorDetail"):
        detail = message.get("errorDetail")
        words = detail.get("message") if isinstance(detail, dict) else None
        raise EngineError(str(words or error))
    sizes = message.get("progressDetail")
    sizes = sizes if isinstance(sizes, dict) else {}
    if sizes.get("units"):  # the seconds that unpacking has taken so far: they go on, whatever else does
        sizes = {}
    current, total = (value if isinstance(value := sizes.get(key), int) else 0 for key in ("current", "total"))
    stream.feed(str(message.get("status", "")), str(message.get("id", "")), current, total)


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
    """Turn what docker-py raises into the engine's words."""
    if isinstance(error, docker_errors.APIError):
        return EngineError(str(error.explanation or error), status=error.status_code)
    return of_the_socket(
        error,
        absent=(urllib3.exceptions.NewConnectionError,),
        broken_off=(urllib3.exceptions.ProtocolError, http.client.HTTPException),
    )
