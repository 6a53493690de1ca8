"""An engine that has gone may be restarting: wait for it, once for all pulls that notice."""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from puller.cancellation import Cancellation
from puller.errors import CancelledError

_INTERVAL = 0.25
"""Seconds between two looks."""


class EngineRecovery:
    """Gives a lost engine so many seconds, from when it was first missed, to come back."""

    def __init__(self, alive: Callable[[], bool], patience: float, on_missing: Callable[[], None]) -> None:
        """Ask `alive` whether it answers; `on_missing` is called each time that it turns out not to, once."""
        self._alive = alive
        self._patience = patience
        self._on_missing = on_missing
        self._lock = Lock()
        self._missed_at: float | None = None

    def missing(self) -> bool:
        """Whether the engine does not answer now."""
        here = self._alive()
        with self._lock:
            news = not here and self._missed_at is None
            if here:
                self._missed_at = None
            elif news:
                self._missed_at = monotonic()
        if news:
            self._on_missing()
        return not here

    @property
    def left(self) -> float:
        """Seconds that are left to the engine."""
        missed_at = self._missed_at
        return self._patience if missed_at is None else max(0.0, missed_at + self._patience - monotonic())

    def comes_back(self, cancel: Cancellation) -> bool:
        """Wait until the engine answers, or until its time is up; raises CancelledError when the run is stopped."""
        while self.missing():
            if not self.left:
                return False
            try:
                cancel.sleep(min(_INTERVAL, self.left))
            except CancelledError:
                if self.left:
                    raise
                return False  # another pull found the time to be up a moment earlier, and ended the run
        return True
