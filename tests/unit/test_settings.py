"""Settings and their defaults."""

import pytest

from puller.settings import NO_FAILURE, FailureLimit, Settings


def test_the_defaults_are_the_documented_ones() -> None:
    """Three jobs, three retries, no time limit, and a run that goes on to the end."""
    settings = Settings()
    assert (settings.jobs, settings.per_registry, settings.timeouts.attempt, settings.max_fail) == (3, None, None, None)
    assert (settings.retry.retries, settings.retry.delay) == (3, 1.0)


@pytest.mark.parametrize(
    ("text", "failed", "total", "exceeded"),
    [
        ("0", 0, 10, False),
        ("0", 1, 10, True),
        ("5", 5, 10, False),
        ("5", 6, 10, True),
        ("10%", 1, 10, False),
        ("10%", 2, 10, True),
        ("10%", 1, 9, True),
        ("0%", 1, 100, True),
        ("100%", 10, 10, False),
        (" 5 ", 6, 10, True),
    ],
)
def test_a_limit_is_exceeded_by_more_than_it_says(text: str, failed: int, total: int, *, exceeded: bool) -> None:
    """`--max-fail 5` bears five failures, and `10%` a tenth of the list."""
    assert FailureLimit.parse(text).exceeded(failed, total) is exceeded


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "101%", "%", "5 %", "5%%", "٣", "1e3", "9" * 5000])
def test_what_is_no_limit_is_refused(text: str) -> None:
    """A limit that cannot be meant is a ValueError."""
    with pytest.raises(ValueError, match=r"\S"):
        FailureLimit.parse(text)


def test_fail_fast_bears_no_failure() -> None:
    """The limit behind --fail-fast is nought."""
    assert not NO_FAILURE.exceeded(0, 10)
    assert NO_FAILURE.exceeded(1, 10)
