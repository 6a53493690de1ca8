"""Ends a run before its time: when no other image can succeed, or when more have failed than it bears."""

from threading import Lock
from typing import TYPE_CHECKING

from puller.errors import FailureClass
from puller.model import PullOutcome, Status

if TYPE_CHECKING:
    from puller.cancellation import Cancellation
    from puller.config import FailureLimit


class Guard:
    """Counts the images that failed, and cancels the run when there is no use in going on."""

    def __init__(self, limit: "FailureLimit | None", total: int, failed: int, cancel: "Cancellation") -> None:
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
