"""What all pulls of a run share."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.errors import FailureClass
from puller.events import Observer
from puller.image.reference import ImageReference
from puller.model import PullOutcome, Status
from puller.pull.engine_recovery import EngineRecovery
from puller.pull.mirrors import Mirrors
from puller.registry.pools import Lanes
from puller.settings import FailureLimit, Settings


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all pulls of a run share."""

    backend: Engine
    settings: Settings
    emit: Observer
    cancel: Cancellation
    lanes: Lanes
    engine: EngineRecovery
    mirrors: Mirrors
    ask_wait: Callable[[ImageReference], float | None]
    """Asks a registry for how many seconds it wants to be left alone; None where it does not say."""
    ends: float | None = None
    """The run's deadline, on the monotonic clock."""
    began: float = 0.0
    """The run's beginning, on the same."""


class FailureBudget:
    """Counts the images that failed, and cancels the run when there is no use in going on."""

    def __init__(self, limit: FailureLimit | None, total: int, failed: int, cancel: Cancellation) -> None:
        self._limit = limit
        self._total = total
        self._failed = failed
        self._cancel = cancel
        self._lock = Lock()

    def judge(self, outcome: PullOutcome) -> None:
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

    def judge_again(self, outcome: PullOutcome) -> None:
        """Take in how an image ended that was counted as failed before."""
        with self._lock:
            self._failed -= 1
        self.judge(outcome)
