"""The time limits of one attempt: in all, and without progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import Event

from puller.errors import EngineError, FailureKind
from puller.events import Phase
from puller.settings import Timeouts
from puller.system.clock import monotonic
from puller.system.threads import start
from puller.text import format_bytes, format_seconds

_SHORTEST_INTERVAL = 0.01
"""Seconds between two checks of a timer, at least."""
_TICK = 0.5
"""Seconds between two looks whether a pull is queued."""
_QUIET = 1.0
"""Seconds of silence after which a pull may be called queued."""
_SHARED_LIMIT = 29


class LastActivity:
    """When any pull of an engine last made progress, by `time.monotonic`."""

    def __init__(self, *, shared: bool = False) -> None:
        """`shared` tells whether a pull can be silent because others use the engine's download slots."""
        self.last = 0.0
        self.shared = shared


def shares_downloads(version: str) -> bool:
    """Tell whether a version of Docker Engine limits downloads over all pulls, and says nothing of those that wait.

    Engines before 29 limit the containerd store's downloads for each pull; the graph store reports who waits.
    """
    major = version.partition(".")[0]
    return major.isascii() and major.isdigit() and int(major[:4]) >= _SHARED_LIMIT


class AttemptTimer:
    """Detects that an attempt has stalled or run out of time. One thread reports progress, any thread may check.

    Docker reports "Waiting" for a layer until its first byte arrives, whether or not the download has started. While
    all missing layers of an image are waiting, progress of any other image counts: a queue advances, a registry that
    hangs does not. The same holds for silent pulls of an engine that shares its download slots, unless a layer of the
    image is being fetched or unpacked.
    """

    def __init__(
        self, clocks: Timeouts, activity: LastActivity, *, coarse: bool = False, now: Callable[[], float] = monotonic
    ) -> None:
        self._attempt, self._stall, self._unpack = (
            inf if limit is None else limit for limit in (clocks.attempt, clocks.stall, clocks.unpack)
        )
        self._activity = activity
        self._now = now
        self._began = now() - clocks.spent
        self._progress = (now(), Phase.RESOLVING, 0, 0)
        self._may_queue = activity.shared
        self.failure: EngineError | None = None
        """Why the attempt is over; None until a check has found that it is."""
        self.coarse = coarse
        """Whether the engine reports no byte counts; then the limit for unpacking applies to downloads as well."""

    def moved(self, phase: Phase, current: int = 0, total: int = 0, *, idle: bool = False) -> None:
        """Record progress, and whether no layer is being fetched or unpacked.

        The caller leaves out messages that repeat what is known.
        """
        now = self._now()
        self._progress, self._may_queue = (now, phase, current, total), idle and self._activity.shared
        self._activity.last = max(self._activity.last, now)

    @property
    def queued(self) -> bool:
        """Whether the pull is silent because others use the engine's download slots, as far as can be told."""
        now, last, moved = self._now(), self._progress[0], self._activity.last
        return self._may_queue and now - last >= _QUIET and last < moved and now - moved < self._stall

    @property
    def interval(self) -> float | None:
        """Seconds after which to check again, whatever happens meanwhile; None where no limit is set."""
        shortest = max(min(*self._left(), self._stall, self._unpack), _SHORTEST_INTERVAL)
        return shortest if shortest < inf else None

    def expired(self) -> EngineError | None:
        """Check the limits; once an attempt is over, the result stays the same."""
        if self.failure is None:
            attempt, stall = self._left()
            if attempt <= 0:
                self.failure = EngineError(f"not done within {self._attempt:g}s", kind=FailureKind.TIMEOUT)
            elif stall <= 0:
                _, phase, current, total = self._progress
                fetched = f" ({format_bytes(current)}/{format_bytes(total)})" if total else ""
                words = f"stalled: no progress for {format_seconds(self._limit(phase))} while {phase}{fetched}"
                self.failure = EngineError(words, kind=FailureKind.STALLED)
        return self.failure

    def check(self) -> None:
        """Raise EngineError when the attempt is over."""
        if failure := self.expired():
            raise failure

    @contextmanager
    def aborting(self, abort: Callable[[], None], tick: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Call `abort` from another thread when the attempt is over while the block still runs.

        Where a pull can be queued, `tick` is called twice a second from that thread.

        A read timeout of the socket is not enough: repeated messages, or parts of one, keep it from expiring.
        """
        done = Event()

        def watch() -> None:
            while not done.wait(min(self.interval or inf, _TICK) if self._activity.shared else self.interval):
                if self.expired():
                    abort()
                    return
                tick()

        wanted = self.interval is not None or self._activity.shared
        thread = start(watch, "timeout") if wanted else None
        try:
            yield
        finally:
            done.set()
            if thread:
                thread.join()

    def _left(self) -> tuple[float, float]:
        """Return the seconds left of the attempt, and until it has stalled; infinite without a limit."""
        now, (last, phase, _, _) = self._now(), self._progress
        if phase is Phase.WAITING or self._may_queue:
            last = max(last, self._activity.last)
        return self._began + self._attempt - now, last + self._limit(phase) - now

    def _limit(self, phase: Phase) -> float:
        unpacking = phase is Phase.EXTRACTING or (self.coarse and phase is not Phase.RESOLVING)
        return self._unpack if unpacking else self._stall
