"""Retries with exponential backoff (tenacity). This is the only place that retries a pull."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from puller.failure import Failure
from puller.settings import RetryPolicy

if TYPE_CHECKING:  # imported for the first pull
    import tenacity

T = TypeVar("T")


class AttemptFailedError(Exception):
    """One attempt failed; retried if the failure is retryable and not `final`."""

    def __init__(self, failure: Failure, *, final: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retryable = failure.retryable and not final


def with_retries(
    attempt: Callable[[], T],
    policy: RetryPolicy,
    *,
    sleep: Callable[[float], None],
    on_retry: Callable[[Failure, float], None],
) -> T:
    """Call `attempt` until it returns; raises the AttemptFailedError of the last attempt.

    The wait is exponential backoff with full jitter, so that many hosts do not retry at the same time, and at least
    `Failure.wait`. `on_retry` gets the failure and the seconds before each `sleep(seconds)`; an exception of `sleep`
    ends the retries.
    """
    import tenacity  # noqa: PLC0415 - a run with nothing to pull does not wait for it

    backoff = tenacity.wait_random_exponential(multiplier=policy.delay, max=max(policy.longest, policy.delay))
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(policy.retries + 1),
        wait=lambda state: max(backoff(state), _failure(state).wait or 0.0),
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, AttemptFailedError) and error.retryable),
        before_sleep=lambda state: on_retry(_failure(state), state.upcoming_sleep),
        sleep=sleep,
        reraise=True,
    )
    return retrying(attempt)


def _failure(state: "tenacity.RetryCallState") -> Failure:
    # Only an AttemptFailedError is retried, so the outcome is always one.
    return cast(AttemptFailedError, cast("tenacity.Future", state.outcome).exception()).failure
