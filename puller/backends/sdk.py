"""The engine through its API, by docker-py's low-level client; docker-py's only home, and urllib3's with it.

`images.pull()` is not used: it throws the stream away, so a failed pull of a tag that is present returns success.
"""

import os
from time import monotonic
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from docker import errors as docker_errors
from docker.tls import TLSConfig

from puller.backends.connection import Call, StoppableClient
from puller.backends.endpoint import Endpoint, resolve
from puller.backends.stream import NOTHING, Inspected, PullStream, repo_digest
from puller.errors import EngineError, EngineUnreachableError, FailureKind
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from puller.backends.base import ProgressSink
    from puller.cancellation import Cancellation
    from puller.config import Clocks
    from puller.model import Pulled, PullRequest
    from puller.reference import ImageReference

_CONNECT_SECONDS = 20
"""For everything but a pull: the engine is near, or it is not there."""
_TROUBLE = (docker_errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class SdkBackend:
    """Pulls by `POST /images/create` (Engine API), reading every message of the stream."""

    def __init__(self, context: str | None = None, connections: int = 3) -> None:
        """Connect and ask for the version; raises EngineUnreachableError, or UsageError for a bad context."""
        endpoint = resolve(context, os.environ)
        try:
            self._client = StoppableClient(
                base_url=endpoint.host,
                tls=_tls(endpoint),
                version=os.environ.get("DOCKER_API_VERSION") or "auto",
                timeout=_CONNECT_SECONDS,
                max_pool_size=max(connections, 1),
            )
            if not self._client.server:
                self._client.version()
        except _TROUBLE as error:
            raise EngineUnreachableError(_unreachable(error, endpoint)) from None
        name, _, version = self._client.server.partition("/")
        self._silent = name == "Libpod"
        self._version = clean(version.partition(" ")[0]) or "of unknown version"

    @property
    def engine(self) -> str:
        """The engine's version, and that the SDK leads to it."""
        return f"engine {self._version} through the SDK (API {self._client.api_version})"

    def pull(
        self,
        request: "PullRequest",
        *,
        cancel: "Cancellation",
        clocks: "Clocks",
        progress: "ProgressSink",
    ) -> "Pulled":
        """Read one pull's stream to its end; see `Backend.pull`."""
        before = self._inspect(request.reference) if self._silent else NOTHING
        stream = PullStream(request, progress)
        call = Call(deadline=None if clocks.attempt is None else monotonic() + clocks.attempt)
        try:
            with self._client.calling(call), cancel.hook(call.abort):
                for message in self._messages(request, call):
                    cancel.check()
                    _feed(stream, message)
        except _TROUBLE as error:
            cancel.check()
            if call.expired:
                raise EngineError(f"not done within {clocks.attempt:g}s", kind=FailureKind.TIMEOUT) from None
            raise _translate(error) from None
        return stream.pulled(before, lambda: self._inspect(request.reference))

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def _messages(self, request: "PullRequest", call: Call) -> "Iterator[dict[str, Any]]":
        reference = request.reference
        messages = self._client.pull(
            reference.name,
            tag=reference.digest or reference.tag,
            platform=str(request.platform) if request.platform else None,
            stream=True,
            decode=True,
        )
        call.tighten()
        for message in messages:
            if isinstance(message, dict):
                yield message
            call.tighten()

    def _inspect(self, reference: "ImageReference") -> Inspected:
        try:
            image: dict[str, Any] = self._client.inspect_image(reference.canonical)  # type: ignore[no-untyped-call]
        except _TROUBLE:
            return NOTHING
        return Inspected(image.get("Id"), repo_digest(image.get("RepoDigests") or (), reference))


def _feed(stream: PullStream, message: dict[str, Any]) -> None:
    if error := message.get("error") or message.get("errorDetail"):
        detail = message.get("errorDetail")
        words = detail.get("message") if isinstance(detail, dict) else None
        raise EngineError(str(words or error))
    sizes = message.get("progressDetail")
    sizes = sizes if isinstance(sizes, dict) else {}
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


def _causes(error: BaseException) -> "Iterator[BaseException]":
    """Walk an exception's causes and the exceptions among its arguments, as urllib3 and requests nest them."""
    seen: list[BaseException] = [error]
    for cause in seen:
        yield cause
        nested = (cause.__cause__, cause.__context__, *cause.args, getattr(cause, "reason", None))
        seen.extend(item for item in nested if isinstance(item, BaseException) and item not in seen)


def _translate(error: Exception) -> EngineError:
    """Turn what docker-py raises into the engine's words; a socket that does not take us is told by its type."""
    if isinstance(error, docker_errors.APIError):
        return EngineError(str(error.explanation or error), status=error.status_code)
    for cause in _causes(error):
        if isinstance(cause, PermissionError):
            return EngineError(f"{cause}: the engine's socket", kind=FailureKind.SOCKET_PERMISSION)
        if isinstance(cause, (ConnectionRefusedError, FileNotFoundError, urllib3.exceptions.NewConnectionError)):
            return EngineError(f"the engine is gone: {cause}", kind=FailureKind.DAEMON_UNREACHABLE)
    return EngineError(str(error))


def _unreachable(error: Exception, endpoint: Endpoint) -> str:
    reason = next((cause.strerror for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror), None)
    where = endpoint.host or "the engine's default socket"
    return clean(f"cannot connect to the engine at {where}: {reason or error}")
