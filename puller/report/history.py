"""Past runs: `puller pull` stores its JSON report in the user's state directory, which keeps the newest ones."""

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import NamedTuple, TypeVar

from puller.errors import UsageError
from puller.model import Report, Status
from puller.report.json import Summary, report_of, summary_of
from puller.system import files
from puller.system.paths import state_home
from puller.text import aligned, clean, format_seconds, timestamp

T = TypeVar("T")
KEPT = 50
"""Number of runs that are kept."""
SCHEMA = "puller.history/1"
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-~=*%#"
"""For terminals that cannot show `BLOCKS`."""
_LONGEST_INDEX = 2
"""Digits: more of them are the beginning of a name."""
_HEADER = ("RUN", "STARTED", "TIME", "IMAGES", "PULLED", "FAILED", "CANCELLED")
_RIGHT = {2, 3, 4, 5, 6}


class Run(NamedTuple):
    """A run whose report is stored."""

    path: Path

    @property
    def name(self) -> str:
        """Start time in UTC, process ID, and the number of the run."""
        return self.path.stem

    @property
    def order(self) -> tuple[int, str]:
        """Runs sort by their numbers: the clock may have been ahead. The names of older versions have none."""
        number = self.name.rpartition("-")[2] if self.name.count("-") > 1 else ""
        return int(number) if re.fullmatch("[0-9]{1,9}", number) else 0, self.name

    def report(self) -> Report:
        """Read its report; raises UsageError if the file is gone or invalid."""
        return self._read(report_of)

    def summary(self) -> Summary:
        """Read the summary of its report; raises UsageError likewise."""
        return self._read(summary_of)

    def _read(self, parse: Callable[[str], T]) -> T:
        try:
            return parse(files.read(self.path))
        except (OSError, UsageError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(clean(f"{self.path} cannot be read: {why}")) from None


def store(report: Report, document: str) -> None:
    """Store the JSON document of a report and remove the oldest ones; raises UsageError if it cannot be written."""
    folder = _folder()
    try:
        files.make_directory(folder)
    except OSError as error:
        raise UsageError(clean(f"cannot make {folder}: {error.strerror}")) from None
    began = report.started.astimezone(UTC)
    number = max((run.order[0] for run in runs()), default=0) + 1
    name = f"{began:%Y%m%dT%H%M%S}.{began.microsecond // 1000:03}Z-{os.getpid()}-{number}.json"
    files.write(folder / name, document, private=True)
    for run in runs()[:-KEPT]:
        with suppress(OSError):  # another run may have removed it at the same time
            run.path.unlink()


def runs() -> tuple[Run, ...]:
    """List the stored runs, oldest first; raises UsageError if there is no home directory, or if it cannot be read."""
    folder = _folder()
    try:
        with os.scandir(folder) as entries:
            found = [each for each in entries if each.name.endswith(".json") and each.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise UsageError(clean(f"{folder} cannot be read: {error.strerror}")) from None
    return tuple(sorted((Run(Path(each)) for each in found), key=lambda run: run.order))


def find(which: str = "1") -> Run:
    """Find a run by number (1 is the newest), by name or by the beginning of its name; raises UsageError."""
    stored = runs()
    if not stored:
        raise UsageError(f"no run is on record in {clean(str(_folder()))}")
    if which.isdecimal() and len(which) <= _LONGEST_INDEX:
        if not 1 <= int(which) <= len(stored):
            raise UsageError(f"there is no run {which}: {len(stored)} are on record, and 1 is the newest")
        return stored[-int(which)]
    found = [run for run in stored if run.name.startswith(which)]
    if len(found) != 1:
        many = f"{len(found)} runs begin" if found else "no run begins"
        raise UsageError(f"{many} with {clean(which, 60)!r}: `puller history` lists their names")
    return found[0]


def render_text(summaries: Sequence[tuple[str, Summary]], blocks: str = BLOCKS) -> str:
    """Return a table with a line for each run name and summary, and sparklines of times and failures."""
    if not summaries:
        return ""
    seconds = [run.seconds for _, run in summaries]
    failed = [run.counts[Status.FAILED] for _, run in summaries]
    rows = [_HEADER, *(_cells(name, run) for name, run in summaries)]
    trends = (
        f"time    {sparkline(seconds, blocks)}  {format_seconds(min(seconds))} to {format_seconds(max(seconds))}",
        f"failed  {sparkline(failed, blocks)}  {min(failed)} to {max(failed)}",
    )
    return "\n".join((*aligned(rows, _RIGHT), "", *trends)) + "\n"


def render_json(summaries: Sequence[tuple[str, Summary]]) -> str:
    """Return the same as a JSON document."""
    rows = [
        {
            "run": name,
            "started": timestamp(run.started),
            "seconds": round(run.seconds, 3),
            "ok": run.ok,
            "stopped": run.stopped or None,
            "counts": run.counts,
        }
        for name, run in summaries
    ]
    return json.dumps({"schema": SCHEMA, "runs": rows}, indent=2) + "\n"


def sparkline(values: Sequence[float], blocks: str = BLOCKS) -> str:
    """Return one character for each value, scaled from zero to the largest value."""
    largest = max(values, default=0) or 1
    return "".join(blocks[round(value / largest * (len(blocks) - 1))] for value in values)


def _cells(name: str, run: Summary) -> tuple[str, ...]:
    counts = run.counts
    numbers = (sum(counts.values()), counts[Status.PULLED], counts[Status.FAILED], counts[Status.CANCELLED])
    return name, timestamp(run.started), format_seconds(run.seconds), *map(str, numbers)


def _folder() -> Path:
    return state_home() / "runs"
