"""One image as a bar: what it spent the run on, in percent of the page's time axis."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from puller.events import Phase
from puller.model import Attempt, PullOutcome, Status
from puller.text import clean, format_bytes, format_seconds

QUEUED, CHECKING, PULLING, RETRYING = "queued", "checking", "pulling", "retrying"
"""What is no phase of an engine: before the turn, a look that was enough, a pull that tells no more, and a wait."""
WORDS = {
    QUEUED: "queued",
    CHECKING: "checking the registry",
    Phase.RESOLVING: "resolving",
    Phase.WAITING: "waiting for a slot of the engine",
    Phase.DOWNLOADING: "downloading",
    Phase.EXTRACTING: "extracting",
    PULLING: "pulling",
    RETRYING: "waiting for a retry",
}
"""Every part of a bar, in the order of the legend."""
_NARROWEST = 0.2
"""Percent: what is there must be seen."""
_FINEST = 0.05
"""Percent: shorter phases are told in words only."""


class Part(NamedTuple):
    """A stretch of the run, in seconds since its beginning."""

    kind: str
    start: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bar:
    """What is drawn, in percent of the axis."""

    parts: tuple[tuple[str, str, str], ...]
    """Kind, left edge and width."""
    tries: tuple[str, ...]
    """Where each attempt after the first begins."""
    misses: tuple[str, ...]
    """Where an attempt ended without the image."""
    words: str
    """The same for those who do not see it."""


def bar(outcome: PullOutcome, length: float) -> Bar:
    """Draw an outcome on an axis of `length` seconds."""
    parts, began = tuple(stretches(outcome, length)), outcome.began
    attempts = timed(outcome)
    drawn = (part for part in parts if part.seconds * 100 > _FINEST * length or len(parts) < len(WORDS))
    return Bar(
        tuple(
            (kind, percent(start, length), percent(max(seconds, length * _NARROWEST / 100), length))
            for kind, start, seconds in drawn
        ),
        tuple(percent(began + attempt.started, length) for attempt in attempts[1:]),
        tuple(percent(began + _end(attempt), length) for attempt in attempts if attempt.failure),
        ", ".join(f"{WORDS[part.kind]} {format_seconds(part.seconds)}" for part in parts),
    )


def timed(outcome: PullOutcome) -> tuple[Attempt, ...]:
    """Give the attempts with their times; none where an older report knows only how many there were."""
    return outcome.attempts if any(attempt.seconds for attempt in outcome.attempts) else ()


def percent(seconds: float, length: float) -> str:
    """Place a moment on the axis."""
    return f"{min(seconds * 100 / length, 100):.2f}%"


def stretches(outcome: PullOutcome, length: float) -> Iterator[Part]:
    """Tell what the image went through, in order; what never had its turn was queued to the end."""
    began, attempts = outcome.began, outcome.attempts
    if not attempts and not outcome.seconds:
        if outcome.status is Status.CANCELLED:
            yield Part(QUEUED, 0.0, length)
        return
    first = began + (attempts[0].started if attempts else 0.0)
    if first:
        yield Part(QUEUED, 0.0, first)
    if not timed(outcome):
        yield Part(PULLING if attempts else CHECKING, first, outcome.seconds)
        return
    reached = first
    for attempt in attempts:
        if began + attempt.started > reached:
            yield Part(RETRYING, reached, began + attempt.started - reached)
        yield from _phases(attempt, began)
        reached = began + _end(attempt)
    if not outcome.ok and began + outcome.seconds > reached:
        yield Part(RETRYING, reached, began + outcome.seconds - reached)


def story(attempt: Attempt) -> str:
    """Tell an attempt's phases in words."""
    words = [f"{WORDS[part.kind]} {format_seconds(part.seconds)}" for part in _phases(attempt, 0.0)]
    if attempt.mirror:
        words.insert(0, f"from the mirror {clean(attempt.mirror)}")
    if attempt.bytes:
        words.append(f"{format_bytes(attempt.bytes)} fetched")
    if attempt.failure:
        words.append(f"then {attempt.failure.kind}: {clean(attempt.failure.message)}")
    return ", ".join(words)


def _phases(attempt: Attempt, began: float) -> Iterator[Part]:
    start = began + attempt.started
    if not attempt.phases:
        yield Part(PULLING, start, attempt.seconds)
    for span in attempt.phases:
        yield Part(span.phase if span.phase in WORDS else PULLING, start + span.started, span.seconds)


def _end(attempt: Attempt) -> float:
    return attempt.started + attempt.seconds
