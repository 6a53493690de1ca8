"""How long to wait: what messages ask for, and what is known where they do not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from puller.errors import FailureClass, FailureKind as Kind
from puller.failure import classify
from puller.failure.kinds import KINDS
from puller.failure.retry_after import wait_of

NOW = datetime(2024, 8, 13, 7, 0, 0, tzinfo=UTC)
HUB = "toomanyrequests: You have reached your pull rate limit. https://www.docker.com/increase-rate-limit"


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("toomanyrequests: retry-after: 863.373s, allowed: 44000/minute", 863.373),
        ("toomanyrequests: retry-after: 880.092µs, allowed: 44000/minute", 0.000880092),
        ("toomanyrequests: retry-after: 681.996us, allowed: 44000/minute", 0.000681996),
        ("retry-after: 17.2ms", 0.0172),
        ("retry-after: 250ns", 2.5e-7),
        ("retry-after: 1h2m3.5s", 3723.5),
        ("Retry-After: 120", 120),
        ("Retry-After: 0", 0),
        ("Headers: map[Retry-After:[60] Server:[nginx]]", 60),
        ('{"retry-after": "30"}', 30),
        ("retry after 45 seconds", 45),
        ("Retry-After: Tue, 13 Aug 2024 07:10:00 GMT", 600),
        ("Retry-After: Tue, 13 Aug 2024 06:10:00 GMT", 0),
        ("unknown: Remote Auto Blocked until 2024-08-13T07:45:05.681Z", 2705.681),
        ("blocked until 2024-08-13T07:45:05.681123999+00:00", 2705.681123),
        ("blocked until 2024-08-13T09:00:00+02:00", 0),
        ("blocked until 2024-08-12T07:45:05Z", 0),
        ("Too many attempts. Try again in 5 minutes.", 300),
        ("please try again after 2 hours", 7200),
        ("try again in 1m30s", 90),
        ("retry in 30 seconds", 30),
        ("wait for 10 sec", 10),
        ("You have been locked out for one hour.", 3600),
        ("locked out for 15 minutes", 900),
        ("account suspended for 1 day", 86400),
        ("Try again in about 10 min", 600),
    ],
)
def test_a_wait_is_read_in_all_its_forms(message: str, seconds: float) -> None:
    """Go durations, plain seconds, HTTP dates, timestamps and English."""
    assert wait_of(message, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "toomanyrequests: Rate exceeded",
        "Retrying in 5 seconds",
        "try again later",
        "try again in a few minutes",
        "retry-after: soon",
        "retry-after: -5",
        "retry-after: 99999999999",
        "retry-after: 1h2x",
        "try again in 5 bananas",
        "locked out for 400 days",
        "blocked until 2099-01-01T00:00:00Z",
        "blocked until 2024-13-99T99:99:99Z",
        "blocked until 0001-01-01T00:00:00+14:00",
        "Retry-After: Xxx, 99 Yyy 2024 07:10:00 GMT",
        "download failed after attempts=6: EOF",
        "manifest for app:5m not found",
    ],
)
def test_no_wait_is_invented(message: str) -> None:
    """Vague, negative, broken and absurd waits are none at all, and neither are the engine's own retries."""
    assert wait_of(message, NOW) in (None, 0.0)
    if "0001" not in message:
        assert wait_of(message, NOW) is None


@given(st.text(), st.text())
def test_any_text_gives_a_sane_wait_or_none(before: str, after: str) -> None:
    """Nothing raises, and a wait is neither negative nor longer than a year."""
    for form in ("retry-after: ", "try again in ", "until ", "locked out for "):
        wait = wait_of(before + form + after, NOW)
        assert wait is None or 0 <= wait <= 365 * 86400


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_any_moment_is_a_wait_from_now(moment: datetime) -> None:
    """A timestamp in the past is no wait, one within the year is the time until then, one beyond is a mistake."""
    left = (moment.replace(microsecond=0) - NOW).total_seconds()
    expected = None if left > 365 * 86400 else max(left, 0)
    assert wait_of(f"blocked until {moment.strftime('%Y').zfill(4)}{moment:-%m-%dT%H:%M:%SZ}", NOW) == expected


@pytest.mark.parametrize(
    ("message", "kind", "wait", "advice"),
    [
        (HUB, Kind.RATE_LIMITED, 6 * 3600, "docker login"),
        ("error from registry: " + HUB.partition(": ")[2], Kind.RATE_LIMITED, 6 * 3600, "docker login"),
        (HUB + " Retry-After: 60", Kind.RATE_LIMITED, 60, "docker login"),
        (
            "toomanyrequests: too many failed login attempts for username or IP address",
            Kind.LOGIN_THROTTLED,
            900,
            "logout",
        ),
        (
            "Too many failed login attempts. You have been locked out for one hour.",
            Kind.LOGIN_THROTTLED,
            3600,
            "logout",
        ),
        ("toomanyrequests: Rate exceeded", Kind.RATE_LIMITED, None, "--per-registry"),
        ("toomanyrequests: retry-after: 2s, allowed: 44000/minute", Kind.RATE_LIMITED, 2, "--per-registry"),
        ("unknown: Remote Auto Blocked", Kind.REMOTE_AUTO_BLOCKED, None, "unblock"),
        ("received unexpected HTTP status: 503 Service Unavailable, Retry-After: 9", Kind.REGISTRY_5XX, 9, "later"),
        ("denied: access forbidden, try again in 5 minutes", Kind.ACCESS_DENIED, None, "docker login"),
    ],
)
def test_a_quota_a_lock_and_a_throttle_are_told_apart(
    message: str, kind: Kind, wait: float | None, advice: str
) -> None:
    """Each has its own wait and its own way out; what will not pass has no wait."""
    why = classify(message)
    assert (why.kind, why.wait) == (kind, wait)
    assert advice in why.advice


def test_a_date_is_counted_from_now() -> None:
    """A registry that names the moment is waited for until then."""
    moment = datetime.now(UTC) + timedelta(minutes=10)
    wait = classify(f"unknown: Remote Auto Blocked until {moment:%Y-%m-%dT%H:%M:%S}.5Z").wait
    assert wait is not None
    assert 580 < wait <= 601


def test_only_limits_bring_a_wait_of_their_own() -> None:
    """The kinds of the class rate_limited are the ones that the page lists with waits."""
    limited = {kind for kind, meaning in KINDS.items() if meaning.failure_class is FailureClass.RATE_LIMITED}
    assert limited == {Kind.RATE_LIMITED, Kind.LOGIN_THROTTLED, Kind.REMOTE_AUTO_BLOCKED}
