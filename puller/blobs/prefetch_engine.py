"""An engine with prefetching: it pulls each image from loopback first, and then under its own name.

The second pull finds all layers in the engine, which ends up in the same state as after a plain pull. If the first pull
fails, the second is a plain pull: prefetching never makes an image fail.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from puller.blobs.engine_wrapper import EngineWrapper
from puller.blobs.prefetch import LoopbackImage, Prefetch
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, ProgressSink
from puller.errors import CancelledError, EngineError
from puller.events import Progress
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.text import clean


class PrefetchEngine(EngineWrapper):
    """Pulls with another engine and a `Prefetch`, which the caller closes."""

    def __init__(self, engine: Engine, prefetch: Prefetch, note: Callable[[str], None]) -> None:
        """`note` is called, once for each reason, when an image was pulled without prefetching."""
        super().__init__(engine)
        self._prefetch = prefetch
        self._note = note
        self._noted: set[str] = set()

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
            fetched = self._pull_from_loopback(request, image, cancel, clocks, progress)
            self._prefetch.check_limit(request)
            pulled = self._engine.pull(request, cancel=cancel, clocks=clocks, progress=progress)
        finally:
            self._remove(image)
        self._prefetch.finished(request)
        return replace(pulled, up_to_date=pulled.up_to_date and not fetched)

    def _pull_from_loopback(
        self,
        request: PullRequest,
        image: LoopbackImage,
        cancel: Cancellation,
        clocks: Timeouts,
        progress: ProgressSink,
    ) -> bool:
        """Let the engine pull from loopback; return whether it fetched any blob."""

        def relay(event: Progress) -> None:
            progress(replace(event, request=request, current=image.current, total=image.total))

        try:
            # The engine may wait long for a blob that is queued behind others; downloads have their own time limits.
            pulled = self._engine.pull(
                PullRequest(image.name, request.platform),
                cancel=cancel,
                clocks=replace(clocks, stall=None),
                progress=relay,
            )
        except EngineError as error:
            failures = [blob.failure for blob in image.blobs if blob.failure]
            self._note_once(failures[0] if failures else error.message)
            return False
        return not pulled.up_to_date

    def _remove(self, image: LoopbackImage) -> None:
        """Remove the name on loopback, which does not exist if that pull failed."""
        with suppress(EngineError, CancelledError):
            self._engine.store.untag(f"{image.name.name}@{image.name.digest}")

    def _note_once(self, reason: str) -> None:
        if reason not in self._noted:
            self._noted.add(reason)
            self._note(f"pulled without prefetching: {clean(reason)}")
