"""A line at regular intervals that says what a run does and waits for, so that no log is silent for long."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event as Flag, Lock

from puller.cli.progress.state import RunningPull, State
from puller.events import Phase
from puller.report.words import status_words
from puller.system.clock import monotonic
from puller.system.threads import start
from puller.text import clean, format_bytes, format_seconds

INTERVAL = 30.0
"""Seconds between two lines: CI systems end a job after some minutes without output."""
_NAMES = 3
"""Images that one line names."""


@contextmanager
def beating(beat: Callable[[], object], seconds: float = INTERVAL) -> Iterator[None]:
    """Call `beat` every so many seconds in a daemon thread during the block, and never after it."""
    ended, lock = Flag(), Lock()

    def run() -> None:
        while not ended.wait(seconds):
            with lock, suppress(Exception):  # a line less, and no traceback
                if not ended.is_set():
                    beat()

    start(run, "heartbeat")
    try:
        yield
    finally:
        with lock:
            ended.set()


class RunSummary:
    """Sums up a run at any moment, from its events; thread-safe."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._state, self._clock = State(clock), clock
        self.add = self._state.add

    @property
    def count(self) -> tuple[int, str]:
        """How many images have ended, and how many there are; `?` before the run has started."""
        return self._state.done, str(self._state.total or "?")

    def moment(self) -> str:
        """Return what is in flight, the bytes fetched, and what the run waits for."""
        state = self._state
        with state.lock:
            now, pulls = self._clock(), [*state.running.values()]
            named = [f"{pull.name} ({_whole(now - pull.began)}) {_doing(pull, now)}" for pull in pulls[:_NAMES]]
            named += [f"and {len(pulls) - _NAMES} more"] if len(pulls) > _NAMES else []
            pauses = [
                f"{clean(subject)} paused for {_whole(ends - now)} more: {why}"
                for subject, (ends, why) in state.pauses.items()
                if ends > now
            ]
            flight = f"in flight: {', '.join(named)}" if named else "nothing in flight"
            return "; ".join([flight, *pauses, f"{self._bytes()} after {_whole(now - state.began)}"])

    def end(self) -> str:
        """Return the images by status, the bytes fetched, and the time."""
        state = self._state
        with state.lock:
            parts = [f"{number} {status_words(status)}" for status, number in state.counts.items() if number]
            rest = state.total - state.done
            parts += [f"{rest} not tried"] if rest > 0 else []
            seconds = format_seconds(self._clock() - state.began)
            return f"ended: {', '.join(parts) or 'nothing to pull'}; {format_bytes(state.downloaded)} in {seconds}"

    def _bytes(self) -> str:
        size, done = self._state.size, format_bytes(self._state.downloaded)
        if not size.total:
            return done
        return f"{done} of {'at least ' if size.unknown else ''}{format_bytes(size.total)}"


def _doing(pull: RunningPull, now: float) -> str:
    if pull.retry:
        left = pull.retry_at - now
        return f"retries in {_whole(left)}" if left > 0 else "waits for its turn to retry"
    seen = pull.progress
    if seen is None:
        return "starting"
    words = "waiting for the engine" if seen.phase in (Phase.QUEUED, Phase.WAITING) else seen.phase.value
    if seen.total and seen.phase is not Phase.EXTRACTING:
        return f"{words} {format_bytes(seen.current)} of {format_bytes(seen.total)}"
    return f"{words} {seen.layers_done} of {seen.layers} layers" if seen.layers else words


def _whole(seconds: float) -> str:
    return f"{math.ceil(seconds)}s" if seconds < 10 else format_seconds(seconds)  # noqa: PLR2004 - no tenths
