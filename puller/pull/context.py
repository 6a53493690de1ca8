"""What all pulls of a run share."""

from dataclasses import dataclass
from threading import Lock
from time import monotonic

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.errors import FailureClass
from puller.events import Observer
from puller.model import PullOutcome, Status
from puller.pull.engine_recovery import EngineRecovery
from puller.pull.mirrors import Mirrors
from puller.registry.pools import Lanes
from puller.registry.resolver import Resolver
from puller.settings import FailureLimit, Settings

_THROTTLE = 5
"""How many times the bound of a retry's wait a registry gets that throttles and does not say for how long."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all pulls of a run share."""

    engine: Engine
    settings: Settings
    emit: Observer
    cancel: Cancellation
    lanes: Lanes
    recovery: EngineRecovery
    mirrors: Mirrors
    registries: Resolver
    ends: float | None = None
    """The run's deadline, on the monotonic clock."""
    began: float = 0.0
    """The run's beginning, on the same."""

    def too_long(self, wait: float) -> bool:
        """Whether so many seconds are more than this run waits for a registry."""
        return wait > self.settings.retry.max_wait or (self.ends is not None and monotonic() + wait > self.ends)

    def throttle_wait(self, attempts: int) -> float:
        """Seconds for which a registry is left alone that throttles and does not say for how long."""
        delay: float = self.settings.retry.delay
        return delay * _THROTTLE * float(2 ** (attempts - 1))


class FailureBudget:
    """Counts the images that failed, and cancels the run when there is no use in going on."""

    def __init__(self, limit: FailureLimit | None, total: int, failed: int, cancel: Cancellation) -> None:
        self._limit = limit
        self._total = total
        self._failed = failed
        self._cancel = cancel
        self._lock = Lock()

    def count(self, outcome: PullOutcome) -> None:
        """Take in how an image ended."""
        if outcome.status is not Status.FAILED or outcome.failure is None:
            return
        with self._lock:
            self._failed += 1
            too_many = self._limit is not None and self._limit.exceeded(self._failed, self._total)
        if outcome.failure.failure_class is FailureClass.HOST_FATAL:
            self._cancel.cancel(outcome.failure.message)
        elif too_many:
            self._cancel.cancel(f"{self._failed} of {self._total} images had failed; the last was {outcome}")

    def recount(self, outcome: PullOutcome) -> None:
        """Take in how an image ended that was counted as failed before."""
        with self._lock:
            self._failed -= 1
        self.count(outcome)
