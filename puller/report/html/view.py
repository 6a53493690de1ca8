"""What the page shows, put in order: causes first, then lanes of rows on one time axis."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from puller.errors import ExitCode, FailureClass
from puller.failure import Failure
from puller.image.reference import ImageReference
from puller.model import Attempt, PullOutcome, Report, Status
from puller.report.html.timeline import Bar, bar, percent, timed
from puller.text import format_seconds

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_TICKS = 9
_SHORTEST = 0.1
ORDER = (Status.FAILED, Status.CANCELLED, Status.PULLED, Status.UP_TO_DATE, Status.PRESENT)
"""Statuses as somebody wants to see them who looks for trouble."""
OUTLOOK = {
    FailureClass.TRANSIENT: "may pass by itself",
    FailureClass.RATE_LIMITED: "passes after a wait",
    FailureClass.PERMANENT: "stays until somebody changes something",
    FailureClass.HOST_FATAL: "stops every pull on this host",
}


class View:
    """A report as the page shows it."""

    def __init__(self, report: Report) -> None:
        self.report = report
        ends = (outcome.began + outcome.seconds for outcome in report.outcomes)
        self.length = max(report.seconds, _SHORTEST, *ends)
        self.rows = [
            Row(number, outcome, _registry(outcome), bar(outcome, self.length))
            for number, outcome in enumerate(report.outcomes, 1)
        ]

    @property
    def here(self) -> int:
        """How many images are there."""
        return sum(outcome.ok for outcome in self.report.outcomes)

    @property
    def may_pass(self) -> bool:
        """Whether all that failed may succeed the next time."""
        return self.report.exit_code is ExitCode.TRY_AGAIN

    @property
    def bytes(self) -> int:
        """Fetched, over all."""
        return sum(outcome.bytes for outcome in self.report.outcomes)

    @property
    def retries(self) -> int:
        """Attempts after the first, over all."""
        return sum(max(len(outcome.attempts) - 1, 0) for outcome in self.report.outcomes)

    @property
    def tried_again(self) -> bool:
        """Whether any bar shows a second attempt."""
        return any(row.bar.tries for row in self.rows)

    @property
    def missed(self) -> bool:
        """Whether any attempt failed."""
        return any(row.bar.misses for row in self.rows)

    @property
    def kinds(self) -> set[str]:
        """What the bars show: words of the legend that are needed."""
        return {kind for row in self.rows for kind, _, _ in row.bar.parts}

    @property
    def statuses(self) -> list[tuple[Status, int]]:
        """The statuses that occur, with their numbers."""
        counts = self.report.counts
        return [(status, counts[status]) for status in ORDER if counts[status]]

    @property
    def ticks(self) -> Iterator[tuple[str, str]]:
        """Round moments of the axis: place and words."""
        step = next((step for step in _STEPS if self.length / step < _MOST_TICKS), self.length / _MOST_TICKS)
        for number in range(int(self.length / step) + 1):
            words = format_seconds(number * step).replace(".0s", "s") if number else "0"
            yield percent(number * step, self.length), words

    @cached_property
    def causes(self) -> "list[Cause]":
        """Why images failed, the most frequent cause first."""
        causes: dict[tuple[object, ...], Cause] = {}
        for row in self.rows:
            why = row.outcome.failure
            if why and row.outcome.status is Status.FAILED:
                cause = causes.setdefault((why.kind, why.advice, why.until), Cause(why, {}))
                cause.said.setdefault(why.message, []).append(row)
        return sorted(causes.values(), key=lambda cause: -cause.count)

    @property
    def cancelled(self) -> dict[str, int]:
        """Why images were cancelled, and how many."""
        reasons: dict[str, int] = {}
        for outcome in self.report.outcomes:
            if outcome.status is Status.CANCELLED:
                reason = outcome.failure.message if outcome.failure else ""
                reasons[reason] = reasons.get(reason, 0) + 1
        return reasons

    @cached_property
    def lanes(self) -> "list[Lane]":
        """One lane a registry, in list order; lines that are no reference come last."""
        lanes: dict[str, Lane] = {}
        for row in self.rows:
            lanes.setdefault(row.registry, Lane(row.registry, [])).rows.append(row)
        return sorted(lanes.values(), key=lambda lane: not lane.registry)


def _registry(outcome: PullOutcome) -> str:
    try:
        return ImageReference.parse(outcome.reference).registry
    except ValueError:
        return ""


@dataclass(frozen=True)
class Row:
    """One image."""

    number: int
    """Its place in the list, from 1."""
    outcome: PullOutcome
    registry: str
    """Empty for a line that is no reference."""
    bar: Bar

    @property
    def name(self) -> str:
        """What was typed, without the registry that its lane names."""
        return str(self.outcome).removeprefix(f"{self.registry}/") if self.registry else str(self.outcome)

    @property
    def result(self) -> str:
        """How it ended, in two or three words."""
        why = self.outcome.failure if self.outcome.status is Status.FAILED else None
        return (why.kind if why else self.outcome.status).replace("_", " ")

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Its attempts, where the report tells more of them than their number."""
        return timed(self.outcome)

    @property
    def start(self) -> float:
        """When the first attempt began, or else the turn came: seconds since the run began."""
        attempts = self.attempts
        return self.outcome.began + (attempts[0].started if attempts else 0.0)

    @property
    def took(self) -> float:
        """Seconds from then to the end: what it took without what it was queued."""
        return self.outcome.began + self.outcome.seconds - self.start


@dataclass(frozen=True)
class Cause:
    """What several images failed of."""

    failure: Failure
    said: dict[str, list[Row]]
    """The engine's words, and of which images it said them."""

    @property
    def count(self) -> int:
        """How many images."""
        return sum(len(rows) for rows in self.said.values())


@dataclass(frozen=True)
class Lane:
    """The images of one registry."""

    registry: str
    rows: list[Row]

    @property
    def bytes(self) -> int:
        """Fetched."""
        return sum(row.outcome.bytes for row in self.rows)

    @property
    def failed(self) -> int:
        """How many images failed."""
        return sum(row.outcome.status is Status.FAILED for row in self.rows)
