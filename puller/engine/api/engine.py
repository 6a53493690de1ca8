"""The engine through its API: short questions by `ApiClient`, pulls by docker-py, which is loaded for the first one."""

from contextlib import closing
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from puller.cancellation import Cancellation
from puller.engine.api.client import ApiClient, Welcome, greet
from puller.engine.api.images import NONSENSE, SdkImageStore
from puller.engine.endpoint import Endpoint, is_local
from puller.engine.interface import NOTHING, InspectedImage, ProgressSink
from puller.engine.progress import PullStream, inspected_name
from puller.engine.responses import read_inspected
from puller.engine.timeouts import AttemptTimer, LastActivity
from puller.errors import EngineError
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts

if TYPE_CHECKING:  # loaded with the first pull
    from puller.engine.api.docker_py import DockerPy

_ALIVE_SECONDS = 3.0


class ApiEngine:
    """Pulls by `POST /images/create` (Engine API), reading every message of the stream."""

    def __init__(self, endpoint: Endpoint, connections: int = 3) -> None:
        """Ask the engine who it is; raises EngineUnreachableError. `connections` is how many pulls may be in flight."""
        self._endpoint = endpoint
        self._welcome: Welcome = greet(endpoint)
        self._version = self._welcome.version or ""
        self._connections = connections
        self._client = ApiClient(endpoint, version=self._version)
        self._pulse = LastActivity()
        self._lock = Lock()
        self._docker_py: DockerPy | None = None
        self.store = SdkImageStore(self._client, local=is_local(endpoint.host))

    @property
    def engine(self) -> str:
        """The engine's version, and that the SDK leads to it."""
        return self._welcome.engine

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Read one pull's stream to its end; see `Backend.pull`."""
        before = self.inspect(request.reference, cancel=cancel) if self._welcome.silent else NOTHING
        watch = AttemptTimer(clocks, self._pulse)
        stream = PullStream(request, progress, watch)
        call = self._puller().begin(request)
        try:
            with closing(call), cancel.hook(call.abort), watch.guarding(call.abort):
                for message in call.messages():
                    cancel.check()
                    _feed(stream, message)
        except EngineError as error:
            cancel.check()
            raise (watch.failure or error) from None
        cancel.check()  # behind TLS, what we broke off ourselves may look like an end in good order
        if watch.failure:
            raise watch.failure
        return stream.pulled(before, lambda: self.inspect(request.reference, cancel=cancel))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Ask for one image, on a connection of its own that can be broken off; see `Backend.inspect`."""
        try:
            with ApiClient(self._endpoint, version=self._version) as client, cancel.hook(client.close):
                image = client.get("images", inspected_name(reference), "json")
            return read_inspected(image, reference)
        except EngineError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return NOTHING
        except NONSENSE:
            pass
        cancel.check()
        return None

    def alive(self) -> bool:
        """Ask `GET /_ping` on a connection of its own: a kept one may be broken although the engine is back."""
        try:
            with ApiClient(self._endpoint, _ALIVE_SECONDS) as client:
                client.ping()
        except EngineError:
            return False
        return True

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()
        with self._lock:
            if self._docker_py:
                self._docker_py.close()

    def _puller(self) -> "DockerPy":
        # docker-py and requests take longer to load than all else that a run with nothing to do takes.
        from puller.engine.api.docker_py import DockerPy  # noqa: PLC0415

        with self._lock:
            if self._docker_py is None:
                self._docker_py = DockerPy(self._endpoint, self._version, self._connections)
            return self._docker_py


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
