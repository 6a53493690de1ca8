"""The text report: a table of all images, a summary line and, last, the failures."""

from collections.abc import Iterator, Sequence

from puller.image.digest import short_digest
from puller.model import PullOutcome, Report
from puller.report.words import by_failure, cancelled, explained, image_name, notes, status_words, totals, verdict
from puller.text import aligned, clean, counted, format_seconds

_HEADER = ("STATUS", "IMAGE", "DIGEST", "ATTEMPTS", "TIME")
_RIGHT = {3, 4}
_NAMED = 100  # failed images that are named; the table and the other reports have all


def render(report: Report, *, failures_only: bool = False) -> str:
    """Return the report for people; with `failures_only`, an empty string if every image is present."""
    if failures_only and report.ok:
        return ""
    return conclusion(report) if failures_only or not report.outcomes else f"{table(report)}\n{conclusion(report)}"


def table(report: Report) -> str:
    """Return the table of all images."""
    return "\n".join(aligned([_HEADER, *map(_cells, report.outcomes)], _RIGHT)) + "\n"


def conclusion(report: Report) -> str:
    """Return the part below the table: the summary and the failures."""
    return "\n\n".join(["\n".join(_summary(report)), *_failures(report.failed)]) + "\n"


def _cells(outcome: PullOutcome) -> tuple[str, str, str, str, str]:
    return (
        status_words(outcome.status),
        image_name(outcome),
        short_digest(outcome.digest) or "-",
        str(len(outcome.attempts)),
        format_seconds(outcome.seconds),
    )


def _summary(report: Report) -> Iterator[str]:
    line = verdict(report.outcomes)
    yield f"{line}: {totals(report)}" if report.outcomes else line
    if report.stopped:
        yield f"stopped: {clean(report.stopped)}"
    yield from notes(report.outcomes)
    for why, number in cancelled(report.outcomes).items():
        yield f"cancelled: {counted(number, 'image')}" + (f" ({why})" if why else "")


def _failures(outcomes: Sequence[PullOutcome]) -> Iterator[str]:
    """Name the first failed images, and write the failure that several images share once."""
    left = _NAMED
    for failure, failed in by_failure(outcomes).items():
        if left <= 0:
            break
        lines = [f"failed: {image_name(outcome)}" for outcome in failed[:left]]
        left -= len(failed)
        if failure:
            reason, *advice = explained(failure)
            lines += [f"  {reason}", *(f"  → {line}" for line in advice)]
        yield "\n".join(lines)
    if len(outcomes) > _NAMED:
        yield f"failed: {len(outcomes) - _NAMED} more images; `--report failed=PATH` writes a list of all"
