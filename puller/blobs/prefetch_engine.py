"""An engine that pulls each image from loopback first, and then under its own name.

The second pull finds all layers in the engine, which ends up in the same state as after a plain pull. If the first pull
fails, or a blob cannot be downloaded, the second is a plain pull: prefetching never makes an image fail.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic

from puller.blobs.prefetch import Prefetch
from puller.blobs.prefetch_progress import PullProgress
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, EngineWrapper, ProgressSink
from puller.errors import CancelledError, EngineError
from puller.events import Progress
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.text import clean


class PrefetchEngine(EngineWrapper):
    """Pulls with another engine and a `Prefetch`, which the caller closes."""

    def __init__(self, engine: Engine, prefetch: Prefetch, note: Callable[[str], None]) -> None:
        """`note` is called with the reason when an image is pulled without prefetching."""
        super().__init__(engine)
        self._prefetch = prefetch
        self._note = note

    @property
    def prefetch(self) -> Prefetch:
        return self._prefetch

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull from loopback, then from the image's own registry; see `Engine.pull`."""
        began = monotonic()
        image = self._prefetch.image(request, cancel)
        if image is None:
            return self._engine.pull(request, cancel=cancel, clocks=clocks, progress=progress)

        def without_whole(event: Progress) -> None:  # other images may have brought them from loopback meanwhile
            progress(event._replace(whole=frozenset()))

        fetched, second, own = False, progress, Cancellation(cancel)
        for blob in image.blobs:  # the engine would try for a while to get it from loopback
            blob.when_failed(partial(own.cancel, "a layer cannot be downloaded"))
        try:
            try:
                # The engine may wait long for a blob that is queued behind others; downloads have their own limits.
                limits = clocks._replace(stall=None)
                first = PullRequest(image.name, request.platform)
                seen = PullProgress(request, image.blobs, image.own, progress)
                with self._prefetch.watch.following(seen):
                    pulled = self._engine.pull(first, cancel=own, clocks=limits, progress=seen.feed)
                fetched = not pulled.up_to_date
                second = without_whole
            except (EngineError, CancelledError) as error:
                cancel.check()
                reason = next((blob.failure for blob in image.blobs if blob.failure), error)
                self._note(f"pulled without prefetching: {clean(str(reason))}")
            self._prefetch.check_limit(request)
            clocks = clocks._replace(spent=clocks.spent + monotonic() - began)
            pulled = self._engine.pull(request, cancel=cancel, clocks=clocks, progress=second)
        finally:
            with suppress(EngineError, CancelledError):  # the name does not exist if the first pull failed
                self._engine.store.untag(f"{image.name.name}@{image.name.digest}")
        self._prefetch.finished(request)
        return pulled._replace(up_to_date=pulled.up_to_date and not fetched)
