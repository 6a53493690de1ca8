"""A registry's wish to be left alone for a while, kept for all images that come from it."""

from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from puller.classify import Failure


class Cooldown:
    """How long nothing may be asked of one registry, and why; it only grows."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ends = 0.0
        self.until: datetime | None = None
        """When it ends, to the second; None before the first."""
        self.why: Failure | None = None

    @property
    def left(self) -> float:
        """Seconds still to wait."""
        return max(0.0, self._ends - monotonic())

    def extend(self, seconds: float, why: "Failure") -> bool:
        """Wait at least so long from now; tell whether that is longer than was known."""
        with self._lock:
            ends = monotonic() + seconds
            if ends <= self._ends:
                return False
            self._ends, self.why = ends, why
            self.until = (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)
            return True
