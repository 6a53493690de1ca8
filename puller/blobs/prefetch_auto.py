"""Prefetching only where the wire is the limit: the engine pulls by itself until its first seconds have shown that.

The sign is an engine that mostly downloads, hardly unpacks, and yet gets few bytes. On a fast wire it unpacks most of
the time, and a second program at work would only take processors from it. Nothing is measured that the engine does not
tell anyway, so that watching costs nothing. What is being downloaded when the sign comes is broken off and fetched.
"""

from collections.abc import Callable, Iterable, Sequence
from threading import Lock, Thread
from time import monotonic

from puller.cancellation import Cancellation
from puller.engine.interface import Engine, ImageStore, InspectedImage, ProgressSink
from puller.errors import CancelledError
from puller.events import Phase, Progress
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts

WINDOW = 1.5
"""Seconds after the first byte, and again, after which a look is taken."""
SLOW = 30_000_000
"""Bytes a second; an engine unpacks about twice as many, so that with more the wire is not what it waits for."""
_SHARE = 0.75
"""The part of the time in which nothing may be unpacked."""


class WireGauge:
    """Tells from the progress of all pulls whether the engine waits for the wire; to be called under a lock."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._phases: dict[PullRequest, Phase] = {}
        self._bytes: dict[str, int] = {}
        """Of each layer, however many images share it."""
        self._last = self._began = 0.0
        self._base = 0
        self._waited = 0.0

    def shows(self, progress: Progress) -> bool:
        """Take in what a pull tells; whether the last seconds show a slow wire."""
        now, phases = self._now(), self._phases.values()
        if self._began and Phase.EXTRACTING not in phases:
            self._waited += now - self._last
        self._last = now
        self._phases[progress.request] = progress.phase
        for layer, count in progress.of_layers.items():
            self._bytes[layer] = max(count, self._bytes.get(layer, 0))
        if not self._began:
            self._open(now) if progress.current else None
            return False
        if now - self._began < WINDOW:
            return False
        seconds, came = now - self._began, sum(self._bytes.values()) - self._base
        slow = self._waited >= _SHARE * seconds and came < SLOW * seconds
        self._open(now)
        return slow and Phase.DOWNLOADING in phases

    def unpacks(self, request: PullRequest) -> bool:
        """Whether all of an image has been downloaded."""
        return self._phases.get(request) is Phase.EXTRACTING

    def over(self, request: PullRequest) -> None:
        """Take note that a pull has ended."""
        self._phases.pop(request, None)

    def _open(self, now: float) -> None:
        self._began, self._base, self._waited = now, sum(self._bytes.values()), 0.0


class AutoPrefetchEngine:
    """Fulfils `Engine` by an engine as it is, until prefetching for it is worth while."""

    def __init__(
        self,
        engine: Engine,
        requests: Sequence[PullRequest],
        begin: Callable[[Iterable[PullRequest]], Engine | None],
    ) -> None:
        """`begin` prefetches what is left of the list, and gives the engine for it; None where it cannot."""
        self._engine = engine
        self._begin = begin
        self._left = dict.fromkeys(requests)
        self._prefetching: Engine | None = None
        self._lock = Lock()
        self._gauge = WireGauge()
        self._flying: dict[PullRequest, Cancellation] = {}
        self._switch: Thread | None = None

    @property
    def engine(self) -> str:
        """The same engine."""
        return self._engine.engine

    @property
    def store(self) -> ImageStore:
        """The same images."""
        return self._engine.store

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull plainly or with prefetching; a plain pull that is broken off for it begins again. See `Engine.pull`."""

        def watched(seen: Progress) -> None:
            self._look(seen)
            progress(seen)

        own = Cancellation(cancel)
        with self._lock:
            prefetching = self._prefetching
            if prefetching is None:
                self._flying[request] = own
        if prefetching is None:
            try:
                return self._engine.pull(request, cancel=own, clocks=clocks, progress=watched)
            except CancelledError:
                cancel.check()
                prefetching = self._prefetching or self._engine
            finally:
                with self._lock:
                    self._gauge.over(request)
                    self._flying.pop(request, None)
                    self._left.pop(request, None)
        return prefetching.pull(request, cancel=cancel, clocks=clocks, progress=progress)

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Ask the engine."""
        return self._engine.inspect(reference, cancel=cancel)

    def alive(self) -> bool:
        """Ask the engine."""
        return self._engine.alive()

    def close(self) -> None:
        """Close the engine's connections."""
        self._engine.close()

    def finish(self) -> None:
        """Wait until prefetching that is just beginning can be ended."""
        with self._lock:
            switch, self._switch = self._switch, Thread()
        if switch and switch.ident:
            switch.join()

    def _look(self, seen: Progress) -> None:
        with self._lock:
            if self._gauge.shows(seen) and self._switch is None:
                self._switch = Thread(target=self._change, name="prefetch", daemon=True)
                self._switch.start()

    def _change(self) -> None:
        with self._lock:
            left = [request for request in self._left if not self._gauge.unpacks(request)]
        prefetching = self._begin(left)
        with self._lock:
            self._prefetching = prefetching
            flying = [own for request, own in self._flying.items() if not self._gauge.unpacks(request)]
        if prefetching is not None:
            for own in flying:
                own.cancel("it is fetched another way")
