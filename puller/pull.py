"""One image, from its turn to its end: pull, classify, retry. A failed image is a value; this never raises."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from puller.classify import Failure, classify, failure
from puller.errors import CancelledError, EngineError, FailureKind
from puller.events import Finished, Progress, RetryScheduled, Started
from puller.model import Attempt, Pulled, PullOutcome, PullRequest, Status
from puller.retry import AttemptFailedError, with_retries

if TYPE_CHECKING:
    from puller.backends.base import Backend
    from puller.cancellation import Cancellation
    from puller.config import Settings
    from puller.events import Observer


@dataclass(frozen=True, slots=True)
class PullContext:
    """What all pulls of a run share."""

    backend: "Backend"
    settings: "Settings"
    emit: "Observer"
    cancel: "Cancellation"
    slots: AbstractContextManager[object]
    """Held while an attempt is in flight."""


def pull_image(request: PullRequest, context: PullContext) -> PullOutcome:
    """Pull one image, trying again where that may help, and tell the observers how it went."""
    if context.cancel.requested:  # an image whose turn never came is nobody's event
        return cancelled(request, context.cancel.reason)
    outcome = _Pull(request, context).run()
    context.emit(Finished(request, outcome))
    return outcome


def cancelled(request: PullRequest, reason: str) -> PullOutcome:
    """Build the outcome of an image that was never tried."""
    return PullOutcome.of(request, Status.CANCELLED, failure=failure(FailureKind.CANCELLED, reason))


class _Pull:
    """The story of one image while it is being told."""

    def __init__(self, request: PullRequest, context: PullContext) -> None:
        self._request = request
        self._context = context
        self._began = monotonic()
        self._attempts: list[Attempt] = []

    def run(self) -> PullOutcome:
        context = self._context
        try:
            pulled = with_retries(
                self._attempt, context.settings.retry, sleep=context.cancel.sleep, on_retry=self._announce
            )
        except AttemptFailedError as error:
            return self._ended(Status.FAILED, failure=error.failure)
        except CancelledError:
            return self._ended(Status.CANCELLED, failure=failure(FailureKind.CANCELLED, context.cancel.reason))
        return self._ended(Status.UP_TO_DATE if pulled.up_to_date else Status.PULLED, digest=pulled.digest)

    def _attempt(self, number: int) -> Pulled:
        context = self._context
        with context.slots:
            context.cancel.check()
            context.emit(Started(self._request, number))
            started, why = monotonic(), None
            try:
                return context.backend.pull(
                    self._request, cancel=context.cancel, clocks=context.settings.clocks, progress=self._progress
                )
            except EngineError as error:
                why = failure(error.kind, error.message) if error.kind else classify(error.message, error.status)
                raise AttemptFailedError(why) from None
            except CancelledError:
                why = failure(FailureKind.CANCELLED, context.cancel.reason)
                raise
            except Exception as error:
                why = failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
                raise AttemptFailedError(why) from error
            finally:
                self._attempts.append(Attempt(started - self._began, monotonic() - started, why))

    def _progress(self, progress: Progress) -> None:
        self._context.emit(progress)

    def _announce(self, number: int, why: Failure, delay: float) -> None:
        self._context.emit(RetryScheduled(self._request, number, why, delay))

    def _ended(self, status: Status, *, digest: str | None = None, failure: Failure | None = None) -> PullOutcome:
        return PullOutcome.of(
            self._request,
            status,
            digest=digest,
            attempts=tuple(self._attempts),
            seconds=monotonic() - self._began,
            failure=failure,
        )
