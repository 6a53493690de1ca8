"""Several runs beside each other: a table with a trend, and the same as JSON."""

import json
from collections.abc import Sequence

from puller.model import Status
from puller.report.json import Summary
from puller.text import aligned, format_seconds, timestamp

SCHEMA = "puller.history/1"
BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-~=*%#"
"""The same where a terminal's encoding has no blocks."""
_HEADER = ("RUN", "STARTED", "TIME", "IMAGES", "PULLED", "FAILED", "CANCELLED")
_RIGHT = {2, 3, 4, 5, 6}


def as_text(runs: Sequence[tuple[str, Summary]], blocks: str = BLOCKS) -> str:
    """Write a line for each run, by its name, and how long they took and what failed as a sparkline."""
    if not runs:
        return ""
    seconds = [run.seconds for _, run in runs]
    failed = [run.counts[Status.FAILED] for _, run in runs]
    rows = [_HEADER, *(_cells(name, run) for name, run in runs)]
    trends = (
        f"time    {sparkline(seconds, blocks)}  {format_seconds(min(seconds))} to {format_seconds(max(seconds))}",
        f"failed  {sparkline(failed, blocks)}  {min(failed)} to {max(failed)}",
    )
    return "\n".join((*aligned(rows, _RIGHT), "", *trends)) + "\n"


def as_json(runs: Sequence[tuple[str, Summary]]) -> str:
    """Write the same as a document."""
    rows = [
        {
            "run": name,
            "started": timestamp(run.started),
            "seconds": round(run.seconds, 3),
            "ok": run.ok,
            "stopped": run.stopped or None,
            "counts": run.counts,
        }
        for name, run in runs
    ]
    return json.dumps({"schema": SCHEMA, "runs": rows}, indent=2) + "\n"


def sparkline(values: Sequence[float], blocks: str = BLOCKS) -> str:
    """Draw a character for each value, from nothing to the largest."""
    most = max(values, default=0) or 1
    return "".join(blocks[round(value / most * (len(blocks) - 1))] for value in values)


def _cells(name: str, run: Summary) -> tuple[str, ...]:
    counts = run.counts
    numbers = (sum(counts.values()), counts[Status.PULLED], counts[Status.FAILED], counts[Status.CANCELLED])
    return name, timestamp(run.started), format_seconds(run.seconds), *map(str, numbers)
