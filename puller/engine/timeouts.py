"""The time limits of one attempt: in all, and without progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

from puller.errors import EngineError, FailureKind
from puller.events import Phase
from puller.settings import Timeouts
from puller.text import format_bytes, format_seconds

_SHORTEST_INTERVAL = 0.01
"""Seconds between two checks of a timer, at least."""


class LastActivity:
    """When any pull of an engine last made progress, by `time.monotonic`."""

    def __init__(self) -> None:
        self.last = 0.0


class AttemptTimer:
    """Detects that an attempt has stalled or run out of time. One thread reports progress, any thread may check.

    Docker reports "Waiting" for a layer until its first byte arrives, whether or not the download has started. While
    all missing layers of an image are waiting, progress of any other image counts: a queue advances, a registry that
    hangs does not.
    """

    def __init__(
        self, clocks: Timeouts, activity: LastActivity, *, coarse: bool = False, now: Callable[[], float] = monotonic
    ) -> None:
        self._clocks = clocks
        self._activity = activity
        self._now = now
        self._began = now()
        self._progress = (self._began, Phase.RESOLVING, 0, 0)
        self.failure: EngineError | None = None
        """Why the attempt is over; None until a check has found that it is."""
        self.coarse = coarse
        """Whether the engine reports no byte counts; then the limit for unpacking applies to downloads as well."""

    def moved(self, phase: Phase, current: int = 0, total: int = 0) -> None:
        """Record progress. The caller leaves out messages that repeat what is known."""
        now = self._now()
        self._progress = (now, phase, current, total)
        self._activity.last = max(self._activity.last, now)

    @property
    def left(self) -> float | None:
        """Seconds until the attempt is over unless there is progress; None where no limit applies."""
        limits = [limit for limit in (self._attempt_left(), self._stall_left()) if limit is not None]
        return max(min(limits), 0.0) if limits else None

    @property
    def interval(self) -> float | None:
        """Seconds after which to check again, whatever happens meanwhile; None where no limit is set."""
        limits = [limit for limit in (self.left, self._clocks.stall, self._clocks.unpack) if limit is not None]
        return max(min(limits), _SHORTEST_INTERVAL) if limits else None

    def expired(self) -> EngineError | None:
        """Check the limits; once an attempt is over, the result stays the same."""
        if self.failure is None:
            attempt, stall = self._attempt_left(), self._stall_left()
            if attempt is not None and attempt <= 0:
                self.failure = EngineError(f"not done within {self._clocks.attempt:g}s", kind=FailureKind.TIMEOUT)
            elif stall is not None and stall <= 0:
                self.failure = EngineError(self._stalled(), kind=FailureKind.STALLED)
        return self.failure

    def check(self) -> None:
        """Raise EngineError when the attempt is over."""
        if failure := self.expired():
            raise failure

    @contextmanager
    def aborting(self, abort: Callable[[], None]) -> Iterator[None]:
        """Call `abort` from another thread when the attempt is over while the block still runs.

        A read timeout of the socket is not enough: repeated messages, or parts of one, keep it from expiring.
        """
        done = Event()

        def watch() -> None:
            while not done.wait(self.interval):
                if self.expired():
                    abort()
                    return

        thread = Thread(target=watch, name="puller-timeout", daemon=True)
        if self.interval is not None:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if thread.ident is not None:
                thread.join()

    def _attempt_left(self) -> float | None:
        return None if self._clocks.attempt is None else self._began + self._clocks.attempt - self._now()

    def _stall_left(self) -> float | None:
        last, phase, _, _ = self._progress
        limit = self._limit(phase)
        if limit is None:
            return None
        if phase is Phase.WAITING:
            last = max(last, self._activity.last)
        return last + limit - self._now()

    def _limit(self, phase: Phase) -> float | None:
        unpacking = phase is Phase.EXTRACTING or (self.coarse and phase is not Phase.RESOLVING)
        return self._clocks.unpack if unpacking else self._clocks.stall

    def _stalled(self) -> str:
        _, phase, current, total = self._progress
        fetched = f" ({format_bytes(current)}/{format_bytes(total)})" if total else ""
        return f"stalled: no progress for {format_seconds(self._limit(phase) or 0)} while {phase}{fetched}"
