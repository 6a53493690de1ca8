"""Automatic prefetching: the engine pulls by itself until its first seconds show that the network is slow.

The network is slow when the engine mostly downloads, rarely unpacks, and receives few bytes. On a fast network it
unpacks most of the time, and prefetching would only take processor time from it. Only the progress that the engine
reports anyway is measured. Pulls that are downloading when prefetching begins are cancelled and prefetched.
"""

from collections.abc import Callable, Iterable, Sequence
from threading import Lock, Thread
from time import monotonic

from puller.cancellation import Cancellation
from puller.engine.interface import Engine, EngineWrapper, ProgressSink
from puller.errors import CancelledError
from puller.events import Phase, Progress
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts

WINDOW = 1.5
"""Length of a measurement in seconds; the first begins with the first byte."""
SLOW = 30_000_000
"""Bytes a second below which the network is slow; an engine unpacks about twice as many."""
_SHARE = 0.75
"""Minimum share of the time in which nothing is unpacked."""
Begin = Callable[[Iterable[PullRequest]], Engine | None]
"""Starts to prefetch images and returns the engine for them, or None if that is not possible."""


class NetworkMonitor:
    """Detects a slow network from the progress of all pulls; not thread-safe."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self.phases: dict[PullRequest, Phase] = {}
        """Of the pulls in flight."""
        self._bytes: dict[str, int] = {}
        """By layer, which images may share."""
        self._last = self._began = self._waited = 0.0
        self._base = 0

    def update(self, progress: Progress) -> bool:
        """Record the progress of a pull; return True at the end of a measurement that shows a slow network."""
        now, phases = self._now(), self.phases.values()
        if self._began and Phase.EXTRACTING not in phases:
            self._waited += now - self._last
        self._last = now
        self.phases[progress.request] = progress.phase
        for layer, count in progress.of_layers.items():
            self._bytes[layer] = max(count, self._bytes.get(layer, 0))
        seconds, received = now - self._began, sum(self._bytes.values())
        if seconds < WINDOW if self._began else not progress.current:
            return False
        slow = self._began and self._waited >= _SHARE * seconds and received - self._base < SLOW * seconds
        self._began, self._base, self._waited = now, received, 0.0
        return bool(slow) and Phase.DOWNLOADING in phases


class AutoPrefetchEngine(EngineWrapper):
    """Pulls with an engine as it is, until the network turns out to be slow."""

    def __init__(self, engine: Engine, requests: Sequence[PullRequest], begin: Begin) -> None:
        super().__init__(engine)
        self._begin_prefetch = begin
        self._left = dict.fromkeys(requests)
        self._prefetching: Engine | None = None
        self._lock = Lock()
        self._monitor = NetworkMonitor()
        self._in_flight: dict[PullRequest, Cancellation] = {}
        self._switch: Thread | None = None

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull plainly or with prefetching; a plain pull cancelled for prefetching starts again. See `Engine.pull`."""

        def watched(event: Progress) -> None:
            with self._lock:
                if self._monitor.update(event) and self._switch is None:
                    self._switch = Thread(target=self._start_prefetch, name="prefetch", daemon=True)
                    self._switch.start()
            progress(event)

        began, own = monotonic(), Cancellation(cancel)
        with self._lock:
            prefetching = self._prefetching
            if prefetching is None:
                self._in_flight[request] = own
        if prefetching is None:
            try:
                return self._engine.pull(request, cancel=own, clocks=clocks, progress=watched)
            except CancelledError:
                cancel.check()
                prefetching = self._prefetching or self._engine
                clocks = clocks._replace(spent=clocks.spent + monotonic() - began)
            finally:
                with self._lock:
                    self._monitor.phases.pop(request, None)
                    self._in_flight.pop(request, None)
                    self._left.pop(request, None)
        return prefetching.pull(request, cancel=cancel, clocks=clocks, progress=progress)

    def finish(self) -> None:
        """Wait for the start of prefetching, if that is under way, and prevent a later one."""
        with self._lock:
            switch, self._switch = self._switch, Thread()
        if switch and switch.ident:
            switch.join()

    def _start_prefetch(self) -> None:
        phases = self._monitor.phases
        with self._lock:
            left = [each for each in self._left if phases.get(each) is not Phase.EXTRACTING]
        prefetching = self._begin_prefetch(left)
        with self._lock:
            self._prefetching = prefetching
            in_flight = [own for each, own in self._in_flight.items() if phases.get(each) is not Phase.EXTRACTING]
        if prefetching is not None:
            for own in in_flight:
                own.cancel("it is prefetched")
