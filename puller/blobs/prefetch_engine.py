"""An engine with prefetching: it pulls each image from loopback first, and then under its own name.

The second pull finds all layers there, and leaves the engine as a plain pull would have. Whatever goes wrong with the
first one, the second one is that plain pull: prefetching never costs an image.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from puller.blobs.prefetch import LoopbackImage, Prefetch
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, ImageStore, InspectedImage, ProgressSink
from puller.errors import CancelledError, EngineError
from puller.events import Progress
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.text import clean


class PrefetchEngine:
    """Fulfils `Engine` by another one and a `Prefetch`."""

    def __init__(self, engine: Engine, prefetch: Prefetch, note: Callable[[str], None]) -> None:
        """`note` is told, once for each reason, why an image was pulled plainly after all."""
        self._engine = engine
        self._prefetch = prefetch
        self._note = note
        self._noted: set[str] = set()

    @property
    def engine(self) -> str:
        """The same engine."""
        return self._engine.engine

    @property
    def store(self) -> ImageStore:
        """The same images."""
        return self._engine.store

    def pull(
        self,
        request: PullRequest,
        *,
        cancel: Cancellation,
        clocks: Timeouts,
        progress: ProgressSink,
    ) -> EngineResult:
        """Pull from loopback, then from the image's own registry; see `Engine.pull`."""
        image = self._prefetch.image(request, cancel)
        if image is None:
            return self._engine.pull(request, cancel=cancel, clocks=clocks, progress=progress)
        try:
            brought = self._bring(request, image, cancel, clocks, progress)
            self._prefetch.check_limit(request)
            pulled = self._engine.pull(request, cancel=cancel, clocks=clocks, progress=progress)
        finally:
            self._remove(image)
        self._prefetch.over(request)
        return replace(pulled, up_to_date=pulled.up_to_date and not brought)

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Ask the engine."""
        return self._engine.inspect(reference, cancel=cancel)

    def alive(self) -> bool:
        """Ask the engine."""
        return self._engine.alive()

    def close(self) -> None:
        """Close the engine's connections; the prefetch is closed by those who began it."""
        self._engine.close()

    def _bring(
        self,
        request: PullRequest,
        image: LoopbackImage,
        cancel: Cancellation,
        clocks: Timeouts,
        progress: ProgressSink,
    ) -> bool:
        """Let the engine pull from loopback; tell whether it got anything there."""

        def relay(seen: Progress) -> None:
            progress(replace(seen, request=request, current=image.current, total=image.total))

        try:
            # The engine may wait for a blob that is far behind others. Those who fetch it have clocks of their own.
            pulled = self._engine.pull(
                PullRequest(image.name, request.platform),
                cancel=cancel,
                clocks=replace(clocks, stall=None),
                progress=relay,
            )
        except EngineError as error:
            failures = [blob.failure for blob in image.blobs if blob.failure]
            self._say(failures[0] if failures else error.message)
            return False
        return not pulled.up_to_date

    def _remove(self, image: LoopbackImage) -> None:
        """Let the engine forget the name on loopback; there may be none, if its pull has failed."""
        with suppress(EngineError, CancelledError):
            self._engine.store.untag(f"{image.name.name}@{image.name.digest}")

    def _say(self, reason: str) -> None:
        if reason not in self._noted:
            self._noted.add(reason)
            self._note(f"pulled without prefetching: {clean(reason)}")
