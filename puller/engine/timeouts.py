"""The clocks of one attempt: how long it may take, and how long the engine may bring nothing new."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

from puller.errors import EngineError, FailureKind
from puller.events import Phase
from puller.settings import Timeouts
from puller.text import format_bytes, format_seconds

_LEAST = 0.01
"""Seconds between two looks at a clock, at least."""


class LastActivity:
    """When anything last changed in any pull of a backend: who only queues behind the others waits for them."""

    def __init__(self) -> None:
        self.last = 0.0


class AttemptTimer:
    """Told of every change, it knows when an attempt has stalled or run out of time; one thread tells, any may ask.

    An engine says "Waiting" of a layer until its first byte has come, granted slot or not. So while all that an image
    still lacks is waiting, the clock runs from the last change of any image: a queue moves, a hung registry does not.
    """

    def __init__(
        self, clocks: Timeouts, pulse: LastActivity, *, coarse: bool = False, now: Callable[[], float] = monotonic
    ) -> None:
        self._clocks = clocks
        self._pulse = pulse
        self._now = now
        self._began = now()
        self._seen = (self._began, Phase.RESOLVING, 0, 0)
        self._failure: EngineError | None = None
        self.coarse = coarse
        """Whether no bytes are told, so that silence while layers are fetched means as little as while they unpack."""

    def moved(self, phase: Phase, current: int = 0, total: int = 0) -> None:
        """Take note of a change: a repetition of what is known is none."""
        now = self._now()
        self._seen = (now, phase, current, total)
        self._pulse.last = max(self._pulse.last, now)

    @property
    def failure(self) -> EngineError | None:
        """Why the attempt was found to be over; None while it was not."""
        return self._failure

    @property
    def left(self) -> float | None:
        """Seconds until the attempt is over, unless something changes; None where nothing limits it now."""
        limits = [limit for limit in (self._attempt_left(), self._silence_left()) if limit is not None]
        return max(min(limits), 0.0) if limits else None

    @property
    def nap(self) -> float | None:
        """Seconds for which nobody need look at this watch, whatever changes meanwhile; None is for ever."""
        limits = [limit for limit in (self.left, self._clocks.stall, self._clocks.unpack) if limit is not None]
        return max(min(limits), _LEAST) if limits else None

    def expired(self) -> EngineError | None:
        """Say whether the attempt is over, and why; once it is, it stays so."""
        if self._failure is None:
            attempt, silence = self._attempt_left(), self._silence_left()
            if attempt is not None and attempt <= 0:
                self._failure = EngineError(f"not done within {self._clocks.attempt:g}s", kind=FailureKind.TIMEOUT)
            elif silence is not None and silence <= 0:
                self._failure = EngineError(self._stalled(), kind=FailureKind.STALLED)
        return self._failure

    def check(self) -> None:
        """Raise EngineError when the attempt is over."""
        if failure := self.expired():
            raise failure

    @contextmanager
    def guarding(self, abort: Callable[[], None]) -> Iterator[None]:
        """Have `abort` called from another thread when the attempt is over while the block still runs.

        A time limit on the socket would not do: what is read from it may be repetitions, or less than a message.
        """
        done = Event()

        def guard() -> None:
            while not done.wait(self.nap):
                if self.expired():
                    abort()
                    return

        thread = Thread(target=guard, name="puller-watch", daemon=True)
        if self.nap is not None:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if thread.ident is not None:
                thread.join()

    def _attempt_left(self) -> float | None:
        return None if self._clocks.attempt is None else self._began + self._clocks.attempt - self._now()

    def _silence_left(self) -> float | None:
        last, phase, _, _ = self._seen
        limit = self._limit(phase)
        if limit is None:
            return None
        if phase is Phase.WAITING:
            last = max(last, self._pulse.last)
        return last + limit - self._now()

    def _limit(self, phase: Phase) -> float | None:
        unpacking = phase is Phase.EXTRACTING or (self.coarse and phase is not Phase.RESOLVING)
        return self._clocks.unpack if unpacking else self._clocks.stall

    def _stalled(self) -> str:
        _, phase, current, total = self._seen
        fetched = f" ({format_bytes(current)}/{format_bytes(total)})" if total else ""
        return f"stalled: nothing came for {format_seconds(self._limit(phase) or 0)} while {phase}{fetched}"
