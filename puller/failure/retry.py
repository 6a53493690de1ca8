"""The one layer that retries, by tenacity; it never reads a message, it asks the failure."""

from collections.abc import Callable
from typing import TypeVar, cast

import tenacity

from puller.failure import Failure
from puller.settings import RetryPolicy

T = TypeVar("T")


class AttemptFailedError(Exception):
    """One attempt failed; `failure` knows whether another is worth it, unless this one is `final` for other reasons."""

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
    """Call `attempt` until it returns; raise the last AttemptFailedError when no attempt does.

    Waits follow exponential backoff with full jitter, so that many hosts do not come back at the same moment; a
    failure that asks for a wait of its own gets at least that. Before each `sleep(seconds)`, `on_retry` is told why
    the attempt failed, and the seconds; what `sleep` raises ends it all.
    """
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


def _failure(state: tenacity.RetryCallState) -> Failure:
    """Return why the attempt failed: what is not an AttemptFailedError is not tried again."""
    return cast(AttemptFailedError, cast(tenacity.Future, state.outcome).exception()).failure
