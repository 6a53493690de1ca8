"""The one layer that retries. tenacity's only home; it never reads a message, it asks the failure."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from puller.failure import Failure
from puller.settings import RetryPolicy

if TYPE_CHECKING:
    import tenacity


T = TypeVar("T")


class AttemptFailedError(Exception):
    """One attempt failed; `failure` knows whether another is worth it, unless this one is `final` for other reasons."""

    def __init__(self, failure: Failure, *, final: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retryable = failure.retryable and not final


def with_retries(
    attempt: Callable[[int], T],
    policy: RetryPolicy,
    *,
    sleep: Callable[[float], None],
    on_retry: Callable[[int, Failure, float], None],
) -> T:
    """Call `attempt(1)`, `attempt(2)`, … until one returns; raise the last AttemptFailedError when none does.

    Waits follow exponential backoff with full jitter, so that many hosts do not come back at the same moment; a
    failure that asks for a wait of its own gets at least that. `on_retry(number, failure, delay)` is told before each
    `sleep(delay)`; what `sleep` raises ends it all.
    """
    import tenacity  # noqa: PLC0415 - what is up to date is not even tried

    backoff = tenacity.wait_random_exponential(multiplier=policy.delay, max=max(policy.longest, policy.delay))

    def wait(state: "tenacity.RetryCallState") -> float:
        return max(backoff(state), _asked_for(state))

    def announce(state: "tenacity.RetryCallState") -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, AttemptFailedError) and state.next_action:
            on_retry(state.attempt_number, error.failure, state.next_action.sleep)

    loop = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(policy.retries + 1),
        wait=wait,
        retry=tenacity.retry_if_exception(_worth_another),
        before_sleep=announce,
        sleep=sleep,
        reraise=True,
    )
    for state in loop:
        with state:
            result = attempt(state.retry_state.attempt_number)
        if not state.retry_state.outcome or not state.retry_state.outcome.failed:
            return result
    raise AssertionError  # tenacity ends its loop by raising


def _worth_another(error: BaseException) -> bool:
    return isinstance(error, AttemptFailedError) and error.retryable


def _asked_for(state: "tenacity.RetryCallState") -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.failure.wait or 0.0 if isinstance(error, AttemptFailedError) else 0.0
