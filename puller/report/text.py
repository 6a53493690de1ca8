"""The text report: a table of all images, one line that sums up, and last, nearest to the prompt, what failed."""

from collections.abc import Iterator, Sequence

from puller.model import PullOutcome, Report
from puller.report.words import by_failure, cancelled, mirrors, name, verdict, words
from puller.text import aligned, clean, format_seconds, timestamp

_HEADER = ("STATUS", "IMAGE", "DIGEST", "ATTEMPTS", "TIME")
_RIGHT = {3, 4}


def render(report: Report, *, failures_only: bool = False) -> str:
    """Write the report for people; with `failures_only`, nothing at all when every image is there."""
    if failures_only and report.ok:
        return ""
    return conclusion(report) if failures_only or not report.outcomes else f"{table(report)}\n{conclusion(report)}"


def table(report: Report) -> str:
    """Write the table of all images."""
    return "\n".join(aligned([_HEADER, *map(_cells, report.outcomes)], _RIGHT)) + "\n"


def conclusion(report: Report) -> str:
    """Write what stands below the table: the line that sums up, and what failed."""
    return "\n\n".join(["\n".join(_summary(report)), *_failures(report.failed)]) + "\n"


def _cells(outcome: PullOutcome) -> tuple[str, str, str, str, str]:
    digest = clean(outcome.digest or "").partition(":")[2][:12]
    return (
        words(outcome.status),
        name(outcome),
        digest or "-",
        str(len(outcome.attempts)),
        format_seconds(outcome.seconds),
    )


def _summary(report: Report) -> Iterator[str]:
    line = verdict(report.outcomes)
    if report.outcomes:
        parts = ", ".join(f"{number} {words(status)}" for status, number in report.counts.items() if number)
        line += f": {parts} in {format_seconds(report.seconds)}"
    yield line
    if report.stopped:
        yield f"stopped: {clean(report.stopped)}"
    yield from mirrors(report.outcomes)
    for reason, number in cancelled(report.outcomes).items():
        yield f"cancelled: {number} {'image' if number == 1 else 'images'}" + (f" ({reason})" if reason else "")


def _failures(outcomes: Sequence[PullOutcome]) -> Iterator[str]:
    """Name every image, and say once what several have in common."""
    for failure, failed in by_failure(outcomes).items():
        lines = [f"failed: {name(outcome)}" for outcome in failed]
        if failure:
            lines += [f"  {failure.kind}: {clean(failure.message)}", f"  → {clean(failure.advice)}"]
            lines += [f"  → It will pass at {timestamp(failure.until)}."] if failure.until else []
        yield "\n".join(lines)
