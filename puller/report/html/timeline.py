"""One image as a bar of the waterfall: its phases in percent of the page's time axis."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from puller.errors import FailureClass
from puller.events import Phase
from puller.model import Attempt, PullOutcome, Status
from puller.report.words import reason
from puller.text import clean, format_bytes, format_seconds

QUEUED, CHECKING, PULLING, RETRYING, LIMITED = "queued", "checking", "pulling", "retrying", "limited"
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
    LIMITED: "waiting for a rate limit",
}
"""Labels of the parts of a bar, in the order of the legend."""
MOVING = {Phase.DOWNLOADING, Phase.EXTRACTING}
"""The parts in which bytes of an image arrive or are unpacked."""
WAITS = {LIMITED: "a rate limit", RETRYING: "retries", Phase.WAITING: "the engine"}
"""The parts in which an image waits after its turn has come, and for what."""
_SMALLEST_WIDTH = 0.2
"""Percent: smaller parts are drawn wider, so that they are visible."""
_SMALLEST_PART = 0.05
"""Percent: smaller parts of long bars are only in the text."""


class Part(NamedTuple):
    """A part of a bar; `start` is in seconds since the start of the run."""

    kind: str
    start: float
    seconds: float


class Bar(NamedTuple):
    """A bar; positions are in percent of the axis."""

    parts: tuple[tuple[str, str, str], ...]
    """Kind, left edge and width."""
    retries: tuple[str, ...]
    """The start of each attempt after the first."""
    failures: tuple[str, ...]
    """The end of each failed attempt."""
    text: str
    """The bar in words, for screen readers."""
    goes_on: bool
    """Whether the image ended after the end of the axis."""


def bar(outcome: PullOutcome, parts: tuple[Part, ...], length: float) -> Bar:
    """Lay out the parts of an image on an axis of `length` seconds."""
    began, smallest = outcome.began, length * _SMALLEST_WIDTH / 100
    drawn = (
        part
        for part in parts
        if part.start < length and (part.seconds * 100 > _SMALLEST_PART * length or len(parts) < len(LABELS))
    )
    starts = (began + attempt.started for attempt in outcome.attempts[1:])
    ends = (began + _end(attempt) for attempt in outcome.attempts if attempt.failure)
    return Bar(
        tuple(
            (kind, percent(start, length), percent(max(min(seconds, length - start), smallest), length))
            for kind, start, seconds in drawn
        ),
        tuple(percent(at, length) for at in starts if at <= length),
        tuple(percent(at, length) for at in ends if at <= length),
        _label(parts),
        bool(parts) and parts[-1].kind != QUEUED and parts[-1].start + parts[-1].seconds > length * 1.001,
    )


def only_waiting(parts: Iterable[Part]) -> Mapping[str, float]:
    """Return the seconds, by a key of `WAITS`, in which images waited and none was checked, downloaded or unpacked."""
    changes = sorted(
        (at, step, part.kind)
        for part in parts
        if part.kind != QUEUED
        for at, step in ((part.start, 1), (part.start + part.seconds, -1))
    )
    seconds, waiting, busy, before = dict.fromkeys(WAITS, 0.0), Counter[str](), 0, 0.0
    for at, step, kind in changes:
        wait = None if busy else next((each for each in WAITS if waiting[each]), None)
        if wait:
            seconds[wait] += at - before
        if kind in WAITS:
            waiting[kind] += step
        else:
            busy += step
        before = at
    return seconds


def percent(seconds: float, length: float) -> str:
    """Return a position on the axis."""
    return f"{min(seconds * 100 / length, 100):.2f}%"


def parts_of(outcome: PullOutcome, length: float) -> Iterator[Part]:
    """Yield the parts of an image's bar in order; an image that was never started is queued until the end."""
    began, attempts = outcome.began, outcome.attempts
    if not attempts and not outcome.seconds:
        if outcome.status in (Status.CANCELLED, Status.PENDING):
            yield Part(QUEUED, 0.0, length)
        return
    first = began + (attempts[0].started if attempts else 0.0)
    if first:
        yield Part(QUEUED, 0.0, first)
    if not attempts:
        yield Part(CHECKING, first, outcome.seconds)
        return
    reached, wait = first, RETRYING
    for attempt in attempts:
        if began + attempt.started > reached:
            yield Part(wait, reached, began + attempt.started - reached)
        yield from _phases(attempt, began)
        reached, why = began + _end(attempt), attempt.failure
        wait = LIMITED if why and why.failure_class is FailureClass.RATE_LIMITED else RETRYING
    if not outcome.ok and began + outcome.seconds > reached:
        yield Part(wait, reached, began + outcome.seconds - reached)


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
