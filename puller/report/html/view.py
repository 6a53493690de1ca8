"""The data of the page: failures by cause, then rows grouped by registry on one time axis."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from puller.errors import ExitCode, FailureClass
from puller.failure import Failure
from puller.image.reference import ImageReference
from puller.model import PullOutcome, Report, Status
from puller.report.html.timeline import Bar, bar, percent
from puller.text import format_seconds

_TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_TICKS = 9
_SHORTEST_AXIS = 0.1
ORDER = (Status.FAILED, Status.CANCELLED, Status.PULLED, Status.UP_TO_DATE, Status.PRESENT)
"""The order in which the page shows statuses: problems first."""
OUTLOOK = {
    FailureClass.TRANSIENT: "temporary: a re-run may work",
    FailureClass.RATE_LIMITED: "temporary: works after a wait",
    FailureClass.PERMANENT: "permanent: needs a fix",
    FailureClass.HOST_FATAL: "host problem: stops every pull",
}


@dataclass(frozen=True)
class Row:
    """One image."""

    number: int
    """Its position in the list, from 1."""
    outcome: PullOutcome
    registry: str
    """Empty for an invalid line."""
    bar: Bar

    @property
    def name(self) -> str:
        """The image as the user typed it, without the registry, which is the title of its group."""
        return str(self.outcome).removeprefix(f"{self.registry}/") if self.registry else str(self.outcome)

    @property
    def result(self) -> str:
        """The status, or the kind of failure."""
        why = self.outcome.failure if self.outcome.status is Status.FAILED else None
        return (why.kind if why else self.outcome.status).replace("_", " ")

    @property
    def start(self) -> float:
        """Start of the first attempt, or of the registry check, in seconds since the start of the run."""
        attempts = self.outcome.attempts
        return self.outcome.began + (attempts[0].started if attempts else 0.0)

    @property
    def took(self) -> float:
        """Seconds from `start` to the end, without the time in the queue."""
        return self.outcome.began + self.outcome.seconds - self.start


@dataclass(frozen=True)
class Cause:
    """A failure of several images."""

    failure: Failure
    messages: dict[str, list[Row]]
    """The engine's messages, each with the rows that it is about."""

    @property
    def count(self) -> int:
        """The number of images."""
        return sum(len(rows) for rows in self.messages.values())


class View:
    """A report as the page shows it."""

    def __init__(self, report: Report) -> None:
        self.report = report
        ends = (outcome.began + outcome.seconds for outcome in report.outcomes)
        self.length = max(report.seconds, _SHORTEST_AXIS, *ends)
        self.rows = [
            Row(number, outcome, _registry(outcome), bar(outcome, self.length))
            for number, outcome in enumerate(report.outcomes, 1)
        ]

    @property
    def worth_a_retry(self) -> bool:
        """Whether all failures are temporary."""
        return self.report.exit_code is ExitCode.TRY_AGAIN

    @property
    def retries(self) -> int:
        return sum(max(len(outcome.attempts) - 1, 0) for outcome in self.report.outcomes)

    @property
    def kinds(self) -> set[str]:
        """The entries of the legend that the bars use."""
        return {kind for row in self.rows for kind, _, _ in row.bar.parts}

    @property
    def statuses(self) -> list[tuple[Status, int]]:
        """The statuses that occur, with the number of images."""
        counts = self.report.counts
        return [(status, counts[status]) for status in ORDER if counts[status]]

    @property
    def ticks(self) -> Iterator[tuple[str, str]]:
        """Round times on the axis: position and label."""
        step = next((step for step in _TICK_STEPS if self.length / step < _MOST_TICKS), self.length / _MOST_TICKS)
        for number in range(int(self.length / step) + 1):
            label = format_seconds(number * step).replace(".0s", "s") if number else "0"
            yield percent(number * step, self.length), label

    @cached_property
    def causes(self) -> list[Cause]:
        """The failures of images, the most frequent first."""
        causes: dict[tuple[object, ...], Cause] = {}
        for row in self.rows:
            why = row.outcome.failure
            if why and row.outcome.status is Status.FAILED:
                cause = causes.setdefault((why.kind, why.advice, why.until), Cause(why, {}))
                cause.messages.setdefault(why.message, []).append(row)
        return sorted(causes.values(), key=lambda cause: -cause.count)

    @cached_property
    def lanes(self) -> list[tuple[str, list[Row]]]:
        """The rows of each registry, in list order; invalid lines come last."""
        lanes: dict[str, list[Row]] = {}
        for row in self.rows:
            lanes.setdefault(row.registry, []).append(row)
        return sorted(lanes.items(), key=lambda lane: not lane[0])


def _registry(outcome: PullOutcome) -> str:
    reference = ImageReference.read(outcome.reference)
    return reference.registry if reference else ""
