"""An engine by its API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

from puller.cancellation import Cancellation
from puller.engine import responses
from puller.engine.api.client import QUICK, ApiClient, ping_engine
from puller.engine.api.stream import StreamCall
from puller.engine.endpoint import EngineAddress
from puller.engine.interface import NOTHING, InspectedImage, ProgressSink
from puller.engine.model import Container, LocalImages
from puller.engine.progress import PullStream
from puller.engine.responses import JsonImageStore, inspected_name, readable
from puller.engine.timeouts import AttemptTimer, LastActivity
from puller.errors import EngineError, FailureKind
from puller.failure import failure_of
from puller.http import RequestGroup
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.system.credentials import Keyring, server_name

_ALIVE_SECONDS = 3.0
_MISSING = FailureKind.IMAGE_MISSING
_REFUSALS = {FailureKind.ACCESS_DENIED, FailureKind.NOT_FOUND, FailureKind.UNAUTHORIZED}


class PullCall(Protocol):
    """One pull, which starts when its messages are read."""

    def messages(self) -> Iterator[dict[str, Any]]:
        """Pull, and yield each message of the engine; raises EngineError when the pull fails."""

    def abort(self) -> None:
        """End the pull at once, from any thread."""

    def close(self) -> None:
        """Release the connection."""


class ApiEngine:
    """Pulls by `POST /images/create` (Engine API), reading every message of the stream."""

    _way = "its API ({})"

    def __init__(self, address: EngineAddress, connections: int = 3, keyring: Keyring | None = None) -> None:
        """Ping the engine; raises EngineUnreachableError. `connections` is the number of concurrent pulls."""
        self._keyring = keyring or Keyring()
        self._address = address
        self._ping = ping_engine(address)
        self._version = self._ping.version or ""
        self._client = ApiClient(address, version=self._version, kept=connections)
        self._activity = LastActivity(shared=self._ping.shares_downloads)
        self.store = ApiImageStore(self._client, local=address.local)

    @property
    def engine(self) -> str:
        return f"engine {self._ping.engine} through {self._way.format(self._ping.version)}"

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        cancel.check()
        before = self.inspect(request.reference, cancel=cancel) if self._ping.omits_results else NOTHING
        account = self._account(request.reference)  # before the attempt's limit: a helper has a limit of its own
        timer = AttemptTimer(clocks, self._activity)
        stream = PullStream(request, progress, timer)
        call = self._start_pull(request, account)
        try:
            with closing(stream), closing(call), cancel.hook(call.abort), timer.aborting(call.abort, stream.tick):
                cancel.check()  # the inspection and a credential helper took time
                for message in call.messages():
                    cancel.check()
                    _feed(stream, message)
        except EngineError as error:
            cancel.check()
            raise (timer.failure or self._explained(error, request.reference)) from None
        cancel.check()  # over TLS, a connection that we shut down may look like the regular end
        if timer.failure:
            raise timer.failure
        return stream.pulled(before, lambda: self.inspect(request.reference, cancel=cancel))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        group = RequestGroup()
        try:
            with cancel.hook(partial(self._client.cancel, group)), readable("description of an image"):
                found = self._client.get("images", inspected_name(reference), "json", seconds=QUICK, group=group)
                return self.store.inspected(found, reference)
        except EngineError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return NOTHING
        cancel.check()
        return None

    def alive(self) -> bool:
        try:  # on a new connection: after a restart of the engine, idle ones are broken
            with closing(ApiClient(self._address, _ALIVE_SECONDS)) as client:
                client.ping()
        except EngineError:
            return False
        return True

    def close(self) -> None:
        self._client.close()

    def _start_pull(self, request: PullRequest, account: Mapping[str, str]) -> PullCall:
        return StreamCall(self._client, request, account)

    def _account(self, reference: ImageReference) -> Mapping[str, str]:
        """Return the user's credential as `X-Registry-Auth` has it (Engine API "Authentication"); empty for none."""
        credential = self._keyring.find(reference.registry, reference.repository)
        if credential is None:
            return {}
        server = {"serveraddress": server_name(reference.registry)}
        if credential.identity_token:
            return {"identitytoken": credential.identity_token} | server
        return {"username": credential.username, "password": credential.password} | server

    def _explained(self, error: EngineError, reference: ImageReference) -> EngineError:
        """Remove the user's credential, which a registry may repeat; add to a refusal why none was found."""
        words, credential = error.message, self._keyring.find(reference.registry, reference.repository)
        for secret in credential.secrets if credential else ():
            words = words.replace(secret, "***")
        problem, kind = self._keyring.problem(reference.registry), error.kind
        if problem and failure_of(error).kind in _REFUSALS:
            words, kind = f"{words}; {problem}", failure_of(error).kind
        return EngineError(words, status=error.status, kind=kind)


def _feed(stream: PullStream, message: dict[str, Any]) -> None:
    error, detail, sizes = (message.get(key) for key in ("error", "errorDetail", "progressDetail"))
    if error is not None or detail is not None:
        words = (isinstance(detail, dict) and detail.get("message")) or error
        words, kind = words or "the engine reports an error without a message", None if words else _MISSING
        raise EngineError(str(words), kind=kind)
    if not isinstance(sizes, dict) or sizes.get("units"):  # seconds of unpacking increase even when nothing happens
        sizes = {}
    current, total = (responses.size_of(sizes.get(key)) for key in ("current", "total"))
    stream.feed(str(message.get("status", "")), str(message.get("id", "")), current, total)


class ApiImageStore(JsonImageStore):
    """`ImageStore` by the Engine API."""

    def __init__(self, client: ApiClient, *, local: bool) -> None:
        super().__init__(local=local)
        self._client = client

    def holdings(self) -> LocalImages:
        with readable("list of images"):  # since API 1.47 the containerd store lists the platforms of each image
            return responses.read_images(self._client.get("images", "json", manifests="1"))

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        with readable("history of an image"):
            return responses.read_layer_sizes(self._client.get("images", identity, "history"))

    def containers(self) -> tuple[Container, ...]:
        with readable("list of containers"):
            return tuple(
                Container((each.get("Names") or [each["Id"]])[0].lstrip("/"), each["ImageID"])
                for each in self._client.get("containers", "json", all="1")
            )

    def tag(self, source: str, target: ImageReference) -> None:
        self._client.post("images", source, "tag", repo=target.name, tag=target.tag or "latest")

    def untag(self, name: str) -> None:
        self._client.delete("images", name, seconds=responses.REMOVE_SECONDS)

    def _info(self) -> Any:
        return self._client.get("info", seconds=QUICK)

    def _listed_platforms(self, identities: Sequence[str]) -> dict[str, Platform]:
        images = map(self.holdings().of, identities)
        return {image.identity: image.platforms[0] for image in images if image and image.platforms}

    def _inspect(self, identities: Sequence[str], platform: Platform | None = None) -> Mapping[str, Any]:
        parts = {key: part for key, part in platform._asdict().items() if part} if platform else {}
        # Engines before API 1.49 ignore the parameter.
        options: dict[str, Any] = {"platform": json.dumps(parts)} if parts else {}
        found = {}
        for identity in identities:
            try:
                found[identity] = self._client.get("images", identity, "json", **options)
            except EngineError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
        return found
