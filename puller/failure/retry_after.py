"""The wait that an error message asks for: Go durations, seconds, dates and English phrases."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

_LONGEST = 365 * 24 * 3600.0
"""Seconds: a longer wait is taken for a mistake."""
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT_PREFIXES = {"millisec": 1e-3, "sec": 1.0, "min": 60.0, "hour": 3600.0, "hr": 3600.0, "day": 86400.0}
_NUMBERS = {"a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "five": 5.0, "ten": 10.0, "fifteen": 15.0, "thirty": 30.0}
_NUMBER = r"\d{1,12}(?:\.\d{1,12})?"
_PART = rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)"


def wait_of(message: str, now: datetime) -> float | None:
    """Return the seconds that a message asks to wait; None if it has no wait, or one longer than a year.

    `now` has a time zone. A date in the past is a wait of 0.
    """
    for pattern, seconds_of in _formats():
        for match in pattern.finditer(message):
            seconds = seconds_of(match, now)
            if seconds is not None and seconds <= _LONGEST:
                return max(seconds, 0.0)
    return None


def seconds_until(date: str, now: datetime) -> float | None:
    """Return the seconds until an HTTP date, which are negative after it; None if it is no date."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - takes as long as all rules, and dates are rare

    try:
        return (parsedate_to_datetime(date) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


@cache
def _formats() -> tuple[tuple[re.Pattern[str], Callable[[re.Match[str], datetime], float | None]], ...]:
    """Compile the patterns at the first use; the exact formats come first."""
    after = r"retry[- ]after[\"']?\s{0,4}[:=]?\s{0,4}[\[\"']{0,2}"
    again = r"(?:try|retry|wait|again|available)(?: again)?(?: after| in| for)"
    locked = r"(?:locked|blocked|banned|suspended)(?: out)? for"
    about = r"\s{1,4}(?:about |another |at least |approximately )?"
    date = r"\w{3,9}, \d\d[ -]\w{3}[ -]\d{2,4} \d\d:\d\d:\d\d GMT"
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
    return tuple(
        (re.compile(pattern, re.IGNORECASE), seconds_of)
        for pattern, seconds_of in (
            (rf"{after}((?:{_PART}){{1,4}})(?![\w.])", _duration),
            (rf"{after}({_NUMBER})(?:\s{{0,2}}sec\w{{0,4}})?(?![\w.:-])", lambda match, _: float(match[1])),
            (rf"{after}({date})", lambda match, now: seconds_until(match[1], now)),
            (rf"(?:until|after|at|reset\w{{0,3}})[:=]?\s{{1,4}}({stamp})", _iso_date),
            (rf"(?:{again}|{locked}){about}({_NUMBER}|{'|'.join(_NUMBERS)})[\s-]{{0,2}}(\w{{1,12}})", _phrase),
            (rf"{again}{about}((?:{_PART}){{2,4}})(?![\w.])", _duration),
        )
    )


def _duration(match: re.Match[str], _now: datetime) -> float:
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, match[1].lower()))


def _iso_date(match: re.Match[str], now: datetime) -> float | None:
    microseconds = re.sub(r"(\.\d{6})\d{1,3}", r"\1", match[1].upper())
    try:
        return (datetime.fromisoformat(microseconds).astimezone(UTC) - now).total_seconds()
    except (ValueError, OverflowError):
        return None


def _phrase(match: re.Match[str], _now: datetime) -> float | None:
    word, unit = match[1].lower(), match[2].lower()
    number = _NUMBERS[word] if word in _NUMBERS else float(word)
    for prefix, seconds in _UNIT_PREFIXES.items():
        if unit.startswith(prefix):
            return number * seconds
    return number * _UNITS[unit] if unit in _UNITS else None
