"""An engine that pulls each image from loopback first, and then under its own name.

The second pull finds all layers in the engine, which ends up in the same state as after a plain pull. If the first pull
fails, or a blob cannot be downloaded, the second is a plain pull: prefetching never makes an image fail.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event
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

_RETRIES = 3
"""How often a pull is tried again that failed while the engine pulled other images from loopback."""


class PrefetchEngine(EngineWrapper):
    """Pulls with another engine and a `Prefetch`, which the caller closes."""

    def __init__(self, engine: Engine, prefetch: Prefetch, note: Callable[[str], None]) -> None:
        """`note` is called with the reason when an image is pulled without prefetching."""
        super().__init__(engine)
        self._prefetch = prefetch
        self._note = note
        self._in_flight: set[Event] = set()
        """The ends of all pulls from loopback that go on."""

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
                with self._prefetch.watch.following(seen), self._counted():
                    pulled = self._engine.pull(first, cancel=own, clocks=limits, progress=seen.feed)
                fetched = not pulled.up_to_date
                second = without_whole
            except (EngineError, CancelledError) as error:
                cancel.check()
                reason = next((blob.failure for blob in image.blobs if blob.failure), error)
                self._note(f"pulled without prefetching: {clean(str(reason))}")
            self._prefetch.check_limit(request)
            clocks = clocks._replace(spent=clocks.spent + monotonic() - began)
            plain = partial(self._engine.pull, request, cancel=cancel, clocks=clocks, progress=second)
            pulled = self.beside_loopback(plain, cancel)
        finally:
            with suppress(EngineError, CancelledError):  # the name does not exist if the first pull failed
                self._engine.store.untag(f"{image.name.name}@{image.name.digest}")
        self._prefetch.finished(request)
        return pulled._replace(up_to_date=pulled.up_to_date and not fetched)

    def beside_loopback(self, pull: Callable[[], EngineResult], cancel: Cancellation) -> EngineResult:
        """Pull from an image's own registry; raises EngineError.

        The graph-driver store fetches a layer once for all images that want it at the same time: a pull that waits for
        a layer from loopback fails if that does. It is tried again when those pulls have ended.
        """
        for _ in range(_RETRIES):
            others = self._in_flight.copy()
            try:
                return pull()
            except EngineError:
                others |= self._in_flight
                if not others:
                    raise
            for other in others:
                while not other.wait(0.1):
                    cancel.check()
        return pull()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a pull from loopback."""
        end = Event()
        self._in_flight.add(end)
        try:
            yield
        finally:
            self._in_flight.discard(end)
            end.set()
