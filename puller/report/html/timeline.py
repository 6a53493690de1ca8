"""One image as a bar of the waterfall: its phases in percent of the page's time axis."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from puller.events import Phase
from puller.model import Attempt, PullOutcome, Status
from puller.report.words import reason
from puller.text import clean, format_bytes, format_seconds

QUEUED, CHECKING, PULLING, RETRYING = "queued", "checking", "pulling", "retrying"
"""Parts that are not phases of an engine. "pulling" is an attempt of which no phases are known."""
LABELS = {
    QUEUED: "queued",
    CHECKING: "checking the registry",
    Phase.RESOLVING: "resolving",
    Phase.WAITING: "waiting for the engine",
    Phase.DOWNLOADING: "downloading",
    Phase.EXTRACTING: "extracting",
    PULLING: "pulling",
    RETRYING: "waiting for a retry",
}
"""Labels of the parts of a bar, in the order of the legend."""
_SMALLEST_WIDTH = 0.2
"""Percent: smaller parts are drawn wider, so that they are visible."""
_SMALLEST_PART = 0.05
"""Percent: smaller parts of long bars are only in the text."""


class Part(NamedTuple):
    """A part of a bar; `start` is in seconds since the start of the run."""

    kind: str
    start: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar; positions are in percent of the axis."""

    parts: tuple[tuple[str, str, str], ...]
    """Kind, left edge and width."""
    retries: tuple[str, ...]
    """The start of each attempt after the first."""
    failures: tuple[str, ...]
    """The end of each failed attempt."""
    text: str
    """The bar in words, for screen readers."""


def bar(outcome: PullOutcome, length: float) -> Bar:
    """Lay out an image on an axis of `length` seconds."""
    parts, began = tuple(parts_of(outcome, length)), outcome.began
    drawn = (part for part in parts if part.seconds * 100 > _SMALLEST_PART * length or len(parts) < len(LABELS))
    return Bar(
        tuple(
            (kind, percent(start, length), percent(max(seconds, length * _SMALLEST_WIDTH / 100), length))
            for kind, start, seconds in drawn
        ),
        tuple(percent(began + attempt.started, length) for attempt in outcome.attempts[1:]),
        tuple(percent(began + _end(attempt), length) for attempt in outcome.attempts if attempt.failure),
        _label(parts),
    )


def percent(seconds: float, length: float) -> str:
    """Return a position on the axis."""
    return f"{min(seconds * 100 / length, 100):.2f}%"


def parts_of(outcome: PullOutcome, length: float) -> Iterator[Part]:
    """Yield the parts of an image's bar in order; an image that was never started is queued until the end."""
    began, attempts = outcome.began, outcome.attempts
    if not attempts and not outcome.seconds:
        if outcome.status is Status.CANCELLED:
            yield Part(QUEUED, 0.0, length)
        return
    first = began + (attempts[0].started if attempts else 0.0)
    if first:
        yield Part(QUEUED, 0.0, first)
    if not attempts:
        yield Part(CHECKING, first, outcome.seconds)
        return
    reached = first
    for attempt in attempts:
        if began + attempt.started > reached:
            yield Part(RETRYING, reached, began + attempt.started - reached)
        yield from _phases(attempt, began)
        reached = began + _end(attempt)
    if not outcome.ok and began + outcome.seconds > reached:
        yield Part(RETRYING, reached, began + outcome.seconds - reached)


def describe(attempt: Attempt) -> str:
    """Describe an attempt in words."""
    facts = [_label(_phases(attempt, 0.0))]
    if attempt.mirror:
        facts.insert(0, f"from the mirror {clean(attempt.mirror)}")
    if attempt.bytes:
        facts.append(f"{format_bytes(attempt.bytes)} downloaded")
    if attempt.failure:
        facts.append(f"then {reason(attempt.failure)}")
    return ", ".join(facts)


def _label(parts: Iterable[Part]) -> str:
    return ", ".join(f"{LABELS[part.kind]} {format_seconds(part.seconds)}" for part in parts)


def _phases(attempt: Attempt, began: float) -> Iterator[Part]:
    start = began + attempt.started
    if not attempt.phases:
        yield Part(PULLING, start, attempt.seconds)
    for span in attempt.phases:
        yield Part(span.phase if span.phase in LABELS else PULLING, start + span.started, span.seconds)


def _end(attempt: Attempt) -> float:
    return attempt.started + attempt.seconds
