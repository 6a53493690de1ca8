"""What an attempt spends its time on: phases with their beginnings, and the bytes that came."""

from collections.abc import Callable
from time import monotonic

from puller.events import Phase
from puller.model import Span

_MOST = 100
"""Phases of an attempt that are told apart; whoever goes back and forth more often tells nothing more by it."""


class Timeline:
    """Listens to one attempt, from its beginning; thousands of events an image cost it a comparison each."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._began = now()
        self._phase: str = Phase.RESOLVING
        self._since = self._began
        self._spans: list[Span] = []
        self.bytes = 0
        """Compressed bytes fetched: the most that the engine has told."""

    def saw(self, phase: Phase, fetched: int) -> None:
        """Take note of what the engine is at, and of the bytes fetched so far."""
        self.bytes = max(self.bytes, fetched)
        if phase != self._phase and len(self._spans) < _MOST:
            now = self._now()
            self._spans.append(self._until(now))
            self._phase, self._since = phase, now

    def phases(self) -> tuple[Span, ...]:
        """Give the phases up to now, one after the other without a gap."""
        return (*self._spans, self._until(self._now()))

    def _until(self, now: float) -> Span:
        return Span(self._phase, self._since - self._began, now - self._since)
