"""A line at regular intervals that says what a run does and waits for, so that no log is silent for long."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event as Flag, Lock

from puller.cli.progress.state import RunningPull, State, phase_words
from puller.events import Phase
from puller.model import RunDetails
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
    """Call `beat` every `seconds` in a daemon thread during the block, and never after it."""
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

    def __init__(self, clock: Callable[[], float] = monotonic, details: RunDetails | None = None) -> None:
        self._state, self._clock, self._details = State(clock), clock, details
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
            amount = [] if self._only_image() else [f"{self._bytes()} after {_whole(now - state.began)}"]
            return "; ".join([flight, *pauses, *amount])

    def end(self) -> str:
        """Return the images by status, the bytes fetched, and the time."""
        state = self._state
        with state.lock:
            counts = [(status_words(status, self._details), number) for status, number in state.counts.items()]
            parts = [f"{number} {words}" for words, number in counts if number]
            rest = state.total - state.done
            parts += [f"{rest} not tried"] if rest > 0 else []
            seconds = format_seconds(self._clock() - state.began)
            amount = f"; {format_bytes(state.downloaded)}" if state.downloaded else ""
            return f"ended: {', '.join(parts) or 'nothing to pull'}{amount} in {seconds}"

    def _only_image(self) -> bool:
        """Whether the bytes of the run are those of the one image in flight, which its words have."""
        state = self._state
        seen = [pull.progress for pull in state.running.values() if not pull.retry]
        if len(state.running) != 1 or not seen or not seen[0] or seen[0].phase is Phase.EXTRACTING:
            return False
        current, total = seen[0].current, seen[0].total
        return 0 < current == state.downloaded and total > 0 and state.known_total in (0, total)

    def _bytes(self) -> str:
        known, done = self._state.known_total, format_bytes(self._state.downloaded)
        if not known:
            return done
        return f"{done} of {'at least ' if self._state.size.unknown else ''}{format_bytes(known)}"


def _doing(pull: RunningPull, now: float) -> str:
    if pull.retry:
        left = pull.retry_at - now
        return f"retries in {_whole(left)}" if left > 0 else "waits for its turn to retry"
    seen = pull.progress
    if seen is None:
        return "starting"
    words = phase_words(seen.phase)
    if seen.total and seen.phase not in (Phase.EXTRACTING, Phase.RESOLVING):
        return f"{words} {format_bytes(seen.current)} of {format_bytes(seen.total)}"
    return f"{words} {seen.layers_done} of {seen.layers} layers" if seen.layers else words


def _whole(seconds: float) -> str:
    return f"{math.ceil(seconds)}s" if seconds < 10 else format_seconds(seconds)  # noqa: PLR2004 - no tenths
