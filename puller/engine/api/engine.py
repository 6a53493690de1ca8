"""An engine by its API: questions by `ApiClient`, pulls by docker-py, which is imported for the first one."""

from contextlib import closing
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from puller.cancellation import Cancellation
from puller.engine.api.client import ApiClient, ping_engine
from puller.engine.api.images import UNREADABLE, ApiImageStore
from puller.engine.endpoint import EngineAddress
from puller.engine.interface import NOTHING, InspectedImage, ProgressSink
from puller.engine.progress import PullStream
from puller.engine.responses import inspected_name, read_inspected
from puller.engine.timeouts import AttemptTimer, LastActivity
from puller.errors import EngineError, FailureKind
from puller.failure import failure_of
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.system.credentials import Keyring, server_name

if TYPE_CHECKING:  # imported for the first pull
    from puller.engine.api.docker_py import DockerPy

_ALIVE_SECONDS = 3.0
_REFUSALS = {FailureKind.ACCESS_DENIED, FailureKind.NOT_FOUND, FailureKind.UNAUTHORIZED}


class ApiEngine:
    """Pulls by `POST /images/create` (Engine API), reading every message of the stream."""

    def __init__(self, address: EngineAddress, connections: int = 3, keyring: Keyring | None = None) -> None:
        """Ping the engine; raises EngineUnreachableError. `connections` is the number of concurrent pulls."""
        self._keyring = keyring or Keyring()
        self._address = address
        self._ping = ping_engine(address)
        self._version = self._ping.version or ""
        self._connections = connections
        self._client = ApiClient(address, version=self._version)
        self._activity = LastActivity()
        self._lock = Lock()
        self._docker_py: DockerPy | None = None
        self.store = ApiImageStore(self._client, local=address.local)

    @property
    def engine(self) -> str:
        return self._ping.engine

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        before = self.inspect(request.reference, cancel=cancel) if self._ping.omits_results else NOTHING
        account = self._account(request.reference)  # before the attempt's limit: a helper has a limit of its own
        timer = AttemptTimer(clocks, self._activity)
        stream = PullStream(request, progress, timer)
        call = self._docker().start_pull(request, account)
        try:
            with closing(call), cancel.hook(call.abort), timer.aborting(call.abort):
                for message in call.messages():
                    cancel.check()
                    _feed(stream, message)
        except EngineError as error:
            cancel.check()
            raise (timer.failure or self._explained(error, request.reference.registry)) from None
        cancel.check()  # over TLS, a connection that we shut down may look like the regular end
        if timer.failure:
            raise timer.failure
        return stream.pulled(before, lambda: self.inspect(request.reference, cancel=cancel))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        try:  # on a connection of its own, which can be closed from another thread
            client = ApiClient(self._address, version=self._version)
            with closing(client), cancel.hook(client.close):
                return read_inspected(client.get("images", inspected_name(reference), "json"), reference)
        except EngineError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return NOTHING
        except UNREADABLE:
            pass
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
        with self._lock:
            if self._docker_py:
                self._docker_py.close()

    def _account(self, reference: ImageReference) -> dict[str, str]:
        """Return the user's credential as `X-Registry-Auth` has it (Engine API "Authentication"); empty for none."""
        credential = self._keyring.find(reference.registry, reference.repository)
        if credential is None:
            return {}
        server = {"serveraddress": server_name(reference.registry)}
        if credential.identity_token:
            return {"identitytoken": credential.identity_token} | server
        return {"username": credential.username, "password": credential.password} | server

    def _explained(self, error: EngineError, registry: str) -> EngineError:
        """Add to a registry's refusal why the user's credential was not used."""
        problem, kind = self._keyring.problem(registry), failure_of(error).kind
        return EngineError(f"{error}; {problem}", kind=kind) if problem and kind in _REFUSALS else error

    def _docker(self) -> "DockerPy":
        # Importing docker-py and requests takes longer than a whole run that has nothing to pull.
        from puller.engine.api.docker_py import DockerPy  # noqa: PLC0415

        with self._lock:
            if self._docker_py is None:
                self._docker_py = DockerPy(self._address, self._version, self._connections)
            return self._docker_py


def _feed(stream: PullStream, message: dict[str, Any]) -> None:
    if error := message.get("error") or message.get("errorDetail"):
        detail = message.get("errorDetail")
        words = detail.get("message") if isinstance(detail, dict) else None
        raise EngineError(str(words or error))
    sizes = message.get("progressDetail")
    sizes = sizes if isinstance(sizes, dict) else {}
    if sizes.get("units"):  # seconds spent unpacking, which increase even when nothing happens
        sizes = {}
    current, total = (value if isinstance(value := sizes.get(key), int) else 0 for key in ("current", "total"))
    stream.feed(str(message.get("status", "")), str(message.get("id", "")), current, total)
