"""The data of the page: the run, failures by cause, then rows grouped by registry on one time axis."""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from puller.errors import ExitCode, FailureClass
from puller.failure import Failure
from puller.image.reference import ImageReference
from puller.model import PullOutcome, Report, Status
from puller.report.html.grid import Grid
from puller.report.html.timeline import MOVING, QUEUED, WAITS, Bar, Part, bar, only_waiting, parts_of, percent
from puller.report.words import by_cause, lacking, next_commands, reached_engine, status_words
from puller.text import clean, counted, format_bytes, format_seconds, short_reference

_TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_TICKS = 9
_SHORTEST_AXIS = 0.1
_CUT_AXIS = 0.7
"""The axis is cut if all images that succeeded and all downloads ended in this share of the time of the others."""
_SHORTEST_WAIT, _SMALLEST_WAIT = 1.0, 0.1
"""Seconds and share of the run: shorter waits are not worth a sentence."""
_MOST_ROWS = 2000
"""Rows of a run over hosts; browsers are slow with more."""
_LISTS = 5
"""Lists that the page names; more are counted."""
_TAG = re.compile(r"(?::[^/:@\s]*)?(?:@[^\s@]*)?(?: \([^\s()]*\))?$")
ORDER = (Status.FAILED, Status.CANCELLED, Status.PENDING, Status.PULLED, Status.UP_TO_DATE, Status.PRESENT)
"""The order in which the page shows statuses: problems first."""
OUTLOOK = {
    FailureClass.TRANSIENT: "temporary: a new run may succeed",
    FailureClass.RATE_LIMITED: "temporary: a new run may succeed after a wait",
    FailureClass.PERMANENT: "permanent: needs a fix",
    FailureClass.HOST_FATAL: "host problem: stops every pull",
}
_EXIT_CODES: dict[int, str] = {
    ExitCode.OK: "every image is present",
    ExitCode.FAILED: "some images failed",
    ExitCode.HOSTS_UNREACHABLE: "some hosts could not be reached; on the others every image is present",
    ExitCode.HALTED: "a canary or too many hosts failed, and no further host began",
    ExitCode.ENGINE_UNREACHABLE: "the engine could not be reached",
    ExitCode.OUTPUT_LOST: "every image is present, but a report could not be written",
    ExitCode.TRY_AGAIN: "all failures are temporary",
    ExitCode.HUNG_UP: "interrupted: the terminal was closed (SIGHUP)",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C (SIGINT)",
    ExitCode.TERMINATED: "interrupted by SIGTERM",
}


class Row(NamedTuple):
    """One image."""

    number: int
    """Its position in the list, from 1."""
    outcome: PullOutcome
    registry: str
    """Empty for an invalid line."""
    bar: Bar

    @property
    def name(self) -> tuple[str, str]:
        """The image as the user typed it, without its registry: the part that may be cut, and its tag."""
        text = clean(str(self.outcome).removeprefix(f"{self.registry}/" if self.registry else ""))
        text = short_reference(text, tag_only=True)
        name = _TAG.sub("", text)
        return name, text.removeprefix(name)

    @property
    def result(self) -> str:
        """The status, or the kind of failure in words."""
        why = self.outcome.failure if self.outcome.status is Status.FAILED else None
        return why.title if why else status_words(self.outcome.status, of_hosts=bool(self.outcome.host))

    @property
    def fine(self) -> bool:
        """Whether there is nothing to say about the image: a folded registry hides it."""
        return self.outcome.ok and not self.outcome.warning

    @property
    def start(self) -> float:
        """Start of the first attempt, or of the registry check, in seconds since the start of the run."""
        attempts = self.outcome.attempts
        return self.outcome.began + (attempts[0].started if attempts else 0.0)

    @property
    def end(self) -> float:
        """End in seconds since the start of the run."""
        return self.outcome.began + self.outcome.seconds


class Cause(NamedTuple):
    """A failure of several images."""

    failure: Failure
    messages: dict[str, list[Row]]
    """The engine's messages, each with the rows that it is about."""

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(len(rows) for rows in self.messages.values())


class Lane(NamedTuple):
    """The images of one registry."""

    registry: str
    """Empty for invalid lines."""
    rows: list[Row]

    @property
    def lacking(self) -> str:
        """How many images failed or were cancelled: `2 missing`; empty without any."""
        bad = [row.outcome for row in self.rows if not row.outcome.ok]
        return f"{len(bad)} {lacking(bad)}" if bad else ""

    @property
    def fetched(self) -> str:
        """The compressed bytes, and their rate from the first attempt to the last end; empty without any."""
        count = sum(row.outcome.bytes for row in self.rows)
        return amount(count, max(row.end for row in self.rows) - min(row.start for row in self.rows)) if count else ""

    @property
    def slowest(self) -> Row | None:
        """The image that took longest of those that are present; None for a lane of one image."""
        rows = [row for row in self.rows if row.outcome.ok and row.outcome.took >= _SHORTEST_AXIS]
        return max(rows, key=lambda row: row.outcome.took) if len(self.rows) > 1 and rows else None


class View:
    """A report as the page shows it."""

    def __init__(self, report: Report, run: str = "") -> None:
        self.report, self._run = report, run
        ends = (outcome.began + outcome.seconds for outcome in report.outcomes)
        self.length = max(report.seconds, _SHORTEST_AXIS, *ends)
        """Seconds of the run."""
        parts = [tuple(parts_of(outcome, self.length)) for outcome in report.outcomes]
        self._waits = only_waiting(part for each in parts for part in each)
        self.axis = self._axis(parts)
        """Seconds of the axis."""
        shown = report.fleet is None or len(report.outcomes) <= _MOST_ROWS
        self.rows = [
            Row(number, outcome, outcome.host or _registry(outcome), bar(outcome, each, self.axis))
            for number, (outcome, each) in enumerate(zip(report.outcomes, parts, strict=True), 1)
            if shown or outcome.status is Status.FAILED
        ]
        """Those of a run over hosts that is too large for a page are the failed images; the grid has all."""

    def _axis(self, parts: list[tuple[Part, ...]]) -> float:
        """Return when the last successful image and the last download ended, if others went on for long."""
        ends: dict[bool, float] = {True: 0.0, False: 0.0}
        for outcome, each in zip(self.report.outcomes, parts, strict=True):
            for kind, start, seconds in each:
                if kind != QUEUED:
                    useful = outcome.ok or kind in MOVING
                    ends[useful] = max(ends[useful], start + seconds)
        worked = ends[True]
        return worked if _SHORTEST_AXIS <= worked < ends[False] * _CUT_AXIS else self.length

    @property
    def place(self) -> str:
        """Where the images are: ` on HOST`, ` in oci:DIR`, or nothing if it is unknown, or on the hosts of the grid."""
        details = self.report.details
        if self.report.fleet:
            return ""
        if details.into_files:
            return f" in {clean(details.engine)}"
        return f" on {clean(details.host)}" if details.host else ""

    @property
    def about(self) -> Iterator[tuple[str, str]]:
        """Names and values that tell what run this was; the command line is apart."""
        details, lists = self.report.details, self.report.details.lists
        more = f" and {len(lists) - _LISTS} more" if len(lists) > _LISTS else ""
        code = "" if details.exit_code is None else str(details.exit_code)
        meaning = _EXIT_CODES.get(details.exit_code or 0)
        facts = (
            ("Host", details.host),
            ("Written to" if details.into_files else "Engine", details.engine.removeprefix("engine ")),
            ("List" if len(lists) == 1 else "Lists", ", ".join(lists[:_LISTS]) + more),
            ("Version", f"puller {details.version}" if details.version else ""),
            ("Exit code", f"{code}: {meaning}" if code and meaning else code),
        )
        yield from ((name, clean(value)) for name, value in facts if value)

    @property
    def next_step(self) -> tuple[str, str]:
        """A command to type, and what it does; empty if nothing failed or no command helps."""
        if self.report.fleet:
            return next((step for step in next_commands(self.report) if step[1].startswith("pulls")), ("", ""))
        if not reached_engine(self.report):
            return clean(self.report.details.command), "once the engine can be reached"
        return next((step for step in next_commands(self.report, self._run) if "--failed" in step[0]), ("", ""))

    @property
    def waits(self) -> str:
        """A sentence about the time in which puller only waited; empty if that was short."""
        waits = {WAITS[kind]: seconds for kind, seconds in self._waits.items() if seconds >= _SHORTEST_WAIT}
        total = sum(waits.values())
        if total < self.length * _SMALLEST_WAIT:
            return ""
        spent = f"{format_seconds(total)} of {format_seconds(self.length)} were spent"
        if len(waits) == 1:
            return f"{spent} waiting for {next(iter(waits))}."
        parts = ", ".join(f"{format_seconds(seconds)} for {what}" for what, seconds in waits.items())
        return f"{spent} waiting: {parts}." if waits else ""

    @property
    def after_axis(self) -> str:
        """A sentence about what the axis leaves out."""
        if self.axis == self.length:
            return ""
        left = counted(sum(row.bar.goes_on for row in self.rows), "image")
        ends, end = format_seconds(self.axis), format_seconds(self.length)
        return f"The axis ends at {ends}, when all other images were done: {left} took until {end}."

    @property
    def retries(self) -> int:
        return sum(max(len(outcome.attempts) - 1, 0) for outcome in self.report.outcomes)

    @cached_property
    def grid(self) -> Grid:
        """The hosts and images of a run over several; without rows for one engine."""
        return Grid(self.report, {id(row.outcome): row.number for row in self.rows})

    @cached_property
    def kinds(self) -> set[str]:
        """The entries of the legend that the bars use."""
        return {kind for row in self.rows for kind, _, _ in row.bar.parts}

    @property
    def statuses(self) -> list[tuple[Status, int]]:
        """The statuses that occur, with the number of images."""
        counts = self.report.counts
        return [(status, counts[status]) for status in ORDER if counts.get(status)]

    @property
    def ticks(self) -> Iterator[tuple[str, str]]:
        """Round times on the axis: position and label."""
        step = next((step for step in _TICK_STEPS if self.axis / step < _MOST_TICKS), self.axis / _MOST_TICKS)
        for number in range(int(self.axis / step) + 1):
            label = format_seconds(number * step).replace(".0s", "s") if number else "0"
            yield percent(number * step, self.axis), label

    @cached_property
    def causes(self) -> list[Cause]:
        """The failures of images, the most frequent first."""
        rows = {id(row.outcome): row for row in self.rows}
        causes = []
        for why, images in by_cause(self.report.failed):
            messages = defaultdict[str, list[Row]](list)
            for image in images:
                messages[image.failure.message if image.failure else ""].append(rows[id(image)])
            causes.append(Cause(why, messages))
        return causes

    @cached_property
    def lanes(self) -> list[Lane]:
        """The rows of each registry, in list order; invalid lines come last."""
        lanes: dict[str, list[Row]] = {}
        for row in self.rows:
            lanes.setdefault(row.registry, []).append(row)
        return sorted((Lane(*each) for each in lanes.items()), key=lambda lane: not lane.registry)


def amount(count: int, seconds: float) -> str:
    """Format bytes and their rate; a dash for 0, which means that the engine did not report them."""
    if not count:
        return "–"  # noqa: RUF001 - an empty cell
    return f"{format_bytes(count)} at {format_bytes(count / seconds)}/s" if seconds > 0 else format_bytes(count)


def _registry(outcome: PullOutcome) -> str:
    reference = ImageReference.read(outcome.reference)
    return reference.registry if reference else ""
