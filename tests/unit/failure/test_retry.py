"""The one layer that retries."""

import threading

import pytest

from puller.cancellation import Cancellation
from puller.errors import CancelledError, FailureKind
from puller.failure import Failure, failure
from puller.failure.retry import AttemptFailedError, with_retries
from puller.settings import RetryPolicy

QUICK = RetryPolicy(retries=3, delay=0.0)
RESET = failure(FailureKind.CONNECTION_RESET, "connection reset by peer")


class Story:
    """Attempts that fail as told, and what the loop did between them."""

    def __init__(self, *failures: Failure) -> None:
        self.failures = list(failures)
        self.attempts = 0
        self.retries: list[tuple[Failure, float]] = []
        self.slept: list[float] = []

    def attempt(self) -> str:
        """Fail while there are failures left."""
        self.attempts += 1
        if self.failures:
            raise AttemptFailedError(self.failures.pop(0))
        return f"well at {self.attempts}"

    def on_retry(self, why: Failure, delay: float) -> None:
        """Remember what was announced."""
        self.retries.append((why, delay))

    def run(self, policy: RetryPolicy = QUICK) -> str:
        """Go through the loop without waiting."""
        return with_retries(self.attempt, policy, sleep=self.slept.append, on_retry=self.on_retry)


def test_what_goes_well_is_done_once() -> None:
    """No retry, no wait, nothing announced."""
    story = Story()
    assert story.run() == "well at 1"
    assert (story.attempts, story.retries, story.slept) == (1, [], [])


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_failure_that_passes_is_tried_again(failures: int) -> None:
    """Each failure is announced."""
    story = Story(*[RESET] * failures)
    assert story.run() == f"well at {failures + 1}"
    assert story.attempts == failures + 1
    assert [why for why, _ in story.retries] == [RESET] * failures


@pytest.mark.parametrize("retries", [0, 1, 3, 7])
def test_retries_are_tries_after_the_first(retries: int) -> None:
    """`--retries N` means N + 1 attempts, and the last failure is what is reported."""
    last = failure(FailureKind.TIMEOUT, "the last one")
    story = Story(*[RESET] * retries, last)
    with pytest.raises(AttemptFailedError) as caught:
        story.run(RetryPolicy(retries, 0.0))
    assert caught.value.failure is last
    assert story.attempts == retries + 1
    assert len(story.retries) == len(story.slept) == retries


@pytest.mark.parametrize("kind", [FailureKind.NOT_FOUND, FailureKind.UNAUTHORIZED, FailureKind.DISK_FULL])
def test_what_will_not_pass_is_not_tried_again(kind: FailureKind) -> None:
    """A missing image is missed once."""
    story = Story(failure(kind, "no"))
    with pytest.raises(AttemptFailedError):
        story.run()
    assert (story.attempts, story.retries) == (1, [])


def test_a_rate_limit_is_worth_another_try() -> None:
    """A 429 may pass."""
    story = Story(failure(FailureKind.RATE_LIMITED, "toomanyrequests"))
    assert story.run() == "well at 2"


def test_an_error_of_ours_is_not_tried_again() -> None:
    """Only failed attempts are repeated; anything else goes through as it is."""
    calls = []

    def broken() -> str:
        calls.append(1)
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        with_retries(broken, QUICK, sleep=lambda _: None, on_retry=lambda *_: None)
    assert calls == [1]


def test_waits_double_and_stay_below_their_bound() -> None:
    """The n-th wait is drawn below delay · 2^(n-1) and the longest; what was announced is what is slept."""
    draws: list[list[float]] = []
    for _ in range(50):
        story = Story(*[RESET] * 6)
        story.run(RetryPolicy(retries=6, delay=1.0, longest=10.0))
        assert [delay for _, delay in story.retries] == story.slept
        draws.append(story.slept)
    for bound, waits in zip((1, 2, 4, 8, 10, 10), zip(*draws, strict=True), strict=True):
        assert 0 <= min(waits) <= max(waits) <= bound
        assert len(set(waits)) > 25, "no jitter: many hosts would come back at the same moment"
        assert max(waits) > bound / 2


def test_cancelling_ends_the_wait_at_once() -> None:
    """An hour's wait ends when the run is stopped, and there is no other attempt."""
    cancel, attempts = Cancellation(), []
    policy = RetryPolicy(retries=3, delay=1e6, longest=1e6)

    def attempt() -> str:
        attempts.append(1)
        raise AttemptFailedError(RESET)

    def announced(_why: Failure, _delay: float) -> None:
        threading.Timer(0.01, cancel.cancel, ("stop",)).start()

    with pytest.raises(CancelledError, match="stop"):
        with_retries(attempt, policy, sleep=cancel.sleep, on_retry=announced)
    assert attempts == [1]
