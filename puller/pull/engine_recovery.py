"""Recovery from a lost engine, which may be restarting: all pulls that notice share one wait."""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from puller.cancellation import Cancellation
from puller.errors import CancelledError

_INTERVAL = 0.25
"""Seconds between two checks."""


class EngineRecovery:
    """Waits up to `patience` seconds for a lost engine, counted from the first check that it did not answer."""

    def __init__(self, alive: Callable[[], bool], patience: float, on_missing: Callable[[], None]) -> None:
        """`alive` tells whether the engine answers; `on_missing` is called once for each outage."""
        self._alive = alive
        self._patience = patience
        self._on_missing = on_missing
        self._lock = Lock()
        self._missed_at: float | None = None

    def missing(self) -> bool:
        """Check whether the engine does not answer."""
        alive = self._alive()
        with self._lock:
            outage_begins = not alive and self._missed_at is None
            if alive:
                self._missed_at = None
            elif outage_begins:
                self._missed_at = monotonic()
        if outage_begins:
            self._on_missing()
        return not alive

    @property
    def left(self) -> float:
        """Seconds until the wait ends."""
        missed_at = self._missed_at
        return self._patience if missed_at is None else max(0.0, missed_at + self._patience - monotonic())

    def comes_back(self, cancel: Cancellation) -> bool:
        """Wait until the engine answers; False at the end of the wait. Raises CancelledError."""
        while self.missing():
            if not self.left:
                return False
            try:
                cancel.sleep(min(_INTERVAL, self.left))
            except CancelledError:
                if self.left:
                    raise
                return False  # another pull saw the end of the wait first, and cancelled the run
        return True
