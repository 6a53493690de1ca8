"""What past runs reported: each leaves its JSON report in the user's state directory, and the newest are kept."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TypeVar

from puller.errors import UsageError
from puller.model import Report
from puller.report import json as as_json
from puller.system import files, paths as places
from puller.text import clean

T = TypeVar("T")
KEPT = 50
"""Runs."""
_LONGEST_INDEX = 2
"""Digits: what is longer is the beginning of a name."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run on record."""

    path: Path

    @property
    def name(self) -> str:
        """When it began, in UTC, and its process: names sort by time."""
        return self.path.stem

    def report(self) -> Report:
        """Read its report; raises UsageError when there is none any more, or none that can be read."""
        return self._read(as_json.report_of)

    def summary(self) -> as_json.Summary:
        """Read what it says of the whole run; raises UsageError likewise."""
        return self._read(as_json.summary_of)

    def _read(self, read: Callable[[str], T]) -> T:
        try:
            return read(files.read(self.path))
        except (OSError, UsageError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(clean(f"{self.path} cannot be read: {why}")) from None


def keep(report: Report, record: str) -> None:
    """Put a run's JSON report on record, and forget the oldest; raises UsageError where that cannot be written."""
    folder = _folder()
    try:
        files.make_directory(folder)
    except OSError as error:
        raise UsageError(clean(f"cannot make {folder}: {error.strerror}")) from None
    began = report.started.astimezone(UTC)
    name = f"{began:%Y%m%dT%H%M%S}.{began.microsecond // 1000:03}Z-{os.getpid()}.json"
    files.write(folder / name, record, private=True)
    for run in runs()[:-KEPT]:
        with suppress(OSError):  # another run that ends at this moment may have been faster
            run.path.unlink()


def runs() -> tuple[Run, ...]:
    """List the runs on record, oldest first; raises UsageError where there is no home."""
    return tuple(Run(path) for path in sorted(_folder().glob("*.json")))


def find(which: str = "1") -> Run:
    """Find a run: 1 is the newest, 2 the one before; or its name, or the beginning of it. Raises UsageError."""
    known = runs()
    if not known:
        raise UsageError(f"no run is on record in {clean(str(_folder()))}")
    if which.isdecimal() and len(which) <= _LONGEST_INDEX:
        if not 1 <= int(which) <= len(known):
            raise UsageError(f"there is no run {which}: {len(known)} are on record, and 1 is the newest")
        return known[-int(which)]
    found = [run for run in known if run.name.startswith(which)]
    if len(found) != 1:
        many = f"{len(found)} runs begin" if found else "no run begins"
        raise UsageError(f"{many} with {clean(which, 60)!r}: `puller history` lists their names")
    return found[0]


def _folder() -> Path:
    return places.state_home() / "runs"
