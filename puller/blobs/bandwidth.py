"""A bandwidth that many connections share."""

from collections.abc import Callable
from threading import Lock
from time import monotonic

_BURST = 0.1
"""Seconds' worth of bytes that may come at once after a silence."""


class BandwidthLimit:
    """Makes those who receive bytes wait until these are within the limit, in the order in which they come."""

    def __init__(
        self, rate: float | None, sleep: Callable[[float], object], now: Callable[[], float] = monotonic
    ) -> None:
        """Let `rate` bytes a second pass; None is any number."""
        self._rate = rate
        self._sleep = sleep
        self._now = now
        self._free = 0.0
        self._lock = Lock()

    def take(self, count: int) -> None:
        """Wait for the turn of so many bytes that have come."""
        if self._rate is None:
            return
        with self._lock:
            now = self._now()
            self._free = max(self._free, now - _BURST) + count / self._rate
            wait = self._free - now
        if wait > 0:
            self._sleep(wait)
