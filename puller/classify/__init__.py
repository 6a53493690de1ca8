"""The words of engines and registries → what went wrong, whether it may pass, and what to do: one table.

Text comes first and status second: engine 20.10 answers 500 for everything, and one 404 means four things.
What makes the whole host fail comes before what one registry says; what is special before what is general.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from puller.classify.kinds import KINDS, Meaning, Origin
from puller.classify.rules import FROM_REGISTRY, NAME, RULES
from puller.errors import FailureClass, FailureKind
from puller.text import clean

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["KINDS", "Failure", "Meaning", "Origin", "classify", "failure"]

_C, _K = FailureClass, FailureKind


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed."""

    kind: FailureKind
    failure_class: FailureClass
    message: str
    """The engine's own words: one line, no control characters, no secrets."""
    advice: str
    """What to do about it, as one sentence."""

    wait: float | None = None
    """Seconds that the registry asks to wait, where it does."""
    until: "datetime | None" = None
    """When it will pass, where the run could not wait for it; with its time zone."""

    @property
    def origin(self) -> Origin:
        """Whose fault it is."""
        return KINDS[self.kind].origin

    @property
    def retryable(self) -> bool:
        """Whether another attempt may end better."""
        return self.failure_class in (_C.TRANSIENT, _C.RATE_LIMITED)


_STATUSES = {
    401: _K.UNAUTHORIZED,
    403: _K.ACCESS_DENIED,
    404: _K.NOT_FOUND,
    429: _K.RATE_LIMITED,
}


def classify(message: str, status: int | None = None, *, source: str = "", phase: str = "") -> Failure:  # noqa: ARG001
    """Turn an engine's message, and its HTTP status where there is one, into a `Failure`; never raises."""
    line = clean(message)
    reason = NAME.sub("/", line)
    quoted = bool(FROM_REGISTRY.match(line))
    for kind, pattern in _patterns():
        about_host = KINDS[kind].failure_class is _C.HOST_FATAL
        if not (about_host and quoted) and pattern.search(line if about_host else reason):
            return failure(kind, line)
    return failure(_STATUSES.get(status or 0, _K.UNCLASSIFIED), line or "the engine gave no reason")


@cache
def _patterns() -> tuple[tuple[FailureKind, re.Pattern[str]], ...]:
    """Compile the rules when the first failure comes; most runs have none."""
    return tuple((kind, re.compile("|".join(rules), re.IGNORECASE)) for kind, rules in RULES)


def failure(kind: FailureKind, message: str, *, wait: float | None = None) -> Failure:
    """Build the failure of a kind that is known without reading: class and advice come from the table."""
    meaning = KINDS[kind]
    return Failure(kind, meaning.failure_class, clean(message), meaning.advice, wait)
