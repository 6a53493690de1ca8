"""The base of engines that change how another engine pulls."""

from puller.cancellation import Cancellation
from puller.engine.interface import Engine, ImageStore, InspectedImage
from puller.image.reference import ImageReference


class EngineWrapper:
    """Implements `Engine` except for `pull`, by forwarding to another engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> str:
        return self._engine.engine

    @property
    def store(self) -> ImageStore:
        return self._engine.store

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        return self._engine.inspect(reference, cancel=cancel)

    def alive(self) -> bool:
        return self._engine.alive()

    def close(self) -> None:
        self._engine.close()
