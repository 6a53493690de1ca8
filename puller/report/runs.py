"""Several runs beside each other: a table with a trend, and the same as JSON."""

import json
from collections.abc import Sequence

from puller.model import Report, Status
from puller.text import aligned, format_seconds, timestamp

SCHEMA = "puller.history/1"
BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-~=*%#"
"""The same where a terminal's encoding has no blocks."""
_HEADER = ("RUN", "STARTED", "TIME", "IMAGES", "PULLED", "FAILED", "CANCELLED")
_RIGHT = {2, 3, 4, 5, 6}


def as_text(runs: Sequence[tuple[str, Report]], blocks: str = BLOCKS) -> str:
    """Write a line for each run (its name and its report), and how long they took and what failed as a sparkline."""
    if not runs:
        return ""
    reports = [report for _, report in runs]
    seconds = [report.seconds for report in reports]
    failed = [len(report.failed) for report in reports]
    rows = [_HEADER, *(_cells(name, report) for name, report in runs)]
    trends = (
        f"time    {sparkline(seconds, blocks)}  {format_seconds(min(seconds))} to {format_seconds(max(seconds))}",
        f"failed  {sparkline(failed, blocks)}  {min(failed)} to {max(failed)}",
    )
    return "\n".join((*aligned(rows, _RIGHT), "", *trends)) + "\n"


def as_json(runs: Sequence[tuple[str, Report]]) -> str:
    """Write the same as a document."""
    rows = [
        {
            "run": name,
            "started": timestamp(report.started),
            "seconds": round(report.seconds, 3),
            "ok": report.ok,
            "stopped": report.stopped or None,
            "counts": {status.value: number for status, number in report.counts.items()},
        }
        for name, report in runs
    ]
    return json.dumps({"schema": SCHEMA, "runs": rows}, indent=2) + "\n"


def sparkline(values: Sequence[float], blocks: str = BLOCKS) -> str:
    """Draw a character for each value, from nothing to the largest."""
    most = max(values, default=0) or 1
    return "".join(blocks[round(value / most * (len(blocks) - 1))] for value in values)


def _cells(name: str, report: Report) -> tuple[str, ...]:
    counts = report.counts
    numbers = (len(report.outcomes), counts[Status.PULLED], counts[Status.FAILED], counts[Status.CANCELLED])
    return name, timestamp(report.started), format_seconds(report.seconds), *map(str, numbers)
