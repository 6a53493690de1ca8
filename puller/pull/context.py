"""The state that all pulls of a run share."""

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
from puller.registry.pools import RegistryPools
from puller.registry.resolver import Resolver
from puller.settings import FailureLimit, Settings

_THROTTLE = 5
"""Retry delays to wait for a registry that sets a rate limit without an end."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """The state that all pulls of a run share."""

    engine: Engine
    settings: Settings
    emit: Observer
    cancel: Cancellation
    pools: RegistryPools
    recovery: EngineRecovery
    mirrors: Mirrors
    registries: Resolver
    ends: float | None = None
    """The run's deadline, on the monotonic clock."""
    began: float = 0.0
    """The start of the run, on the monotonic clock."""

    def too_long(self, wait: float) -> bool:
        """Whether a wait of so many seconds exceeds `max_wait` or the deadline."""
        return wait > self.settings.retry.max_wait or (self.ends is not None and monotonic() + wait > self.ends)

    def throttle_wait(self, attempts: int) -> float:
        """Return the seconds to wait for a registry that sets a rate limit without an end."""
        return float(self.settings.retry.delay * _THROTTLE * 2 ** (attempts - 1))


class FailureBudget:
    """Counts failed images, and cancels the run when they are too many or when the host itself has failed."""

    def __init__(self, limit: FailureLimit | None, total: int, failed: int, cancel: Cancellation) -> None:
        self._limit = limit
        self._total = total
        self._failed = failed
        self._cancel = cancel
        self._lock = Lock()

    def count(self, outcome: PullOutcome) -> None:
        if outcome.status is not Status.FAILED or outcome.failure is None:
            return
        with self._lock:
            self._failed += 1
            too_many = self._limit is not None and self._limit.exceeded(self._failed, self._total)
        if outcome.failure.failure_class is FailureClass.HOST_FATAL:
            self._cancel.cancel(outcome.failure.message)
        elif too_many:
            self._cancel.cancel(f"{self._failed} of {self._total} images failed; the last was {outcome}")

    def recount(self, outcome: PullOutcome) -> None:
        """Replace an earlier failure of the same image by its final outcome."""
        with self._lock:
            self._failed -= 1
        self.count(outcome)
