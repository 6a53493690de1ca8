"""A local engine: what most runs ask of it is asked without docker-py, which comes with the first pull.

docker-py and requests take longer to load than all else that a run with nothing to do takes.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from threading import Lock
from typing import Any

from puller.cancellation import Cancellation
from puller.engine.api import unix
from puller.engine.api.images import NONSENSE, Ask, Asked
from puller.engine.endpoint import DEFAULT_HOST, Endpoint
from puller.engine.errors import unreachable
from puller.engine.interface import NOTHING, Engine, ImageStore, InspectedImage, ProgressSink
from puller.engine.model import Container, ImageContents
from puller.engine.progress import inspected_name
from puller.engine.responses import read_inspected
from puller.errors import EngineError, EngineUnreachableError
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts

_ALIVE_SECONDS = 3.0


def socket_of(endpoint: Endpoint) -> str | None:
    """Give the path of a local engine's socket; None for an engine that is reached otherwise."""
    host = endpoint.host or DEFAULT_HOST
    return host.removeprefix("unix://") if host.startswith("unix:///") and endpoint.tls is None else None


def greet(path: str, endpoint: Endpoint) -> unix.Welcome | None:
    """Ask a local engine for the version of its API; None where it does not say, as docker-py knows how to go on.

    Raises EngineUnreachableError.
    """
    try:
        welcome = unix.ping(path)
    except EngineError as error:
        raise EngineUnreachableError(unreachable(error, endpoint.host)) from None
    version = os.environ.get("DOCKER_API_VERSION") or welcome.version
    return replace(welcome, version=version) if version else None


class LocalBackend:
    """Fulfils `Engine`; the rest is left to a backend that is made when it is needed."""

    def __init__(self, path: str, welcome: unix.Welcome, rest: Callable[[], Engine]) -> None:
        """Take what the engine at a socket said when it was greeted."""
        self._path = path
        self._welcome = welcome
        self._make = rest
        self._rest: Engine | None = None
        self._lock = Lock()
        self.store: ImageStore = _Store(self._ask, lambda: self._sdk().store)

    @property
    def engine(self) -> str:
        """The engine's version, and that the SDK leads to it."""
        return self._welcome.engine

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Leave it to the SDK."""
        return self._sdk().pull(request, cancel=cancel, clocks=clocks, progress=progress)

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Ask for one image; see `Engine.inspect`."""
        question = unix.Question(self._path)
        try:
            with cancel.hook(question.abort):
                image = self._read(question, "images", inspected_name(reference), "json")
            return read_inspected(image, reference)
        except EngineError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return NOTHING
        except NONSENSE:
            pass
        cancel.check()
        return None

    def alive(self) -> bool:
        """Ask `GET /_ping`."""
        try:
            unix.ping(self._path, _ALIVE_SECONDS)
        except EngineError:
            return False
        return True

    def close(self) -> None:
        """Close what the SDK keeps open."""
        with self._lock:
            if self._rest:
                self._rest.close()

    def _sdk(self) -> Engine:
        with self._lock:
            if self._rest is None:
                self._rest = self._make()
            return self._rest

    def _ask(self, *words: str, **parameters: str) -> Any:
        return self._read(unix.Question(self._path), *words, **parameters)

    def _read(self, question: unix.Question, /, *words: str, **parameters: str) -> Any:
        return unix.read(question.ask(unix.target(self._welcome.version or "", *words, **parameters))[1])


class _Store(Asked):
    """Fulfils `ImageStore`."""

    def __init__(self, ask: Ask, rest: Callable[[], ImageStore]) -> None:
        super().__init__(ask, local=True)
        self._rest = rest

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        """Leave it to the SDK."""
        return self._rest().platforms(identities, asked)

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        """Leave it to the SDK."""
        return self._rest().contents(identities)

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        """Leave it to the SDK."""
        return self._rest().layer_sizes(identity)

    def containers(self) -> tuple[Container, ...]:
        """Leave it to the SDK."""
        return self._rest().containers()

    def tag(self, source: str, target: ImageReference) -> None:
        """Leave it to the SDK."""
        self._rest().tag(source, target)

    def untag(self, name: str) -> None:
        """Leave it to the SDK."""
        self._rest().untag(name)
