"""Past runs: `puller pull` stores its JSON report in the user's state directory, which keeps the newest ones."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import NamedTuple, TypeVar

from puller.errors import UsageError
from puller.model import Report, RunDetails
from puller.report.json import IMAGES, Summary, report_of, summary_of
from puller.system import directories, files
from puller.system.paths import state_home
from puller.text import clean, counted, plain_error

T = TypeVar("T")
KEPT = 50
"""Number of runs that are kept."""
MOST_BYTES = 200_000_000
"""Bytes of all runs that are kept, beside the newest: that of many hosts with many images has 10 MB and more."""
_INDEX = re.compile(r"\d{1,2}")
_NAME = re.compile(r"\d{8}T[\dZ.-]*")
_HEAD = 64 * 1024
"""Bytes in which the summary of a report usually ends."""


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
        """Read the summary of its report, and not the images; raises UsageError as `report` does."""
        return self._read(summary_of, _HEAD)

    def _read(self, parse: Callable[[str], T], most: int = -1) -> T:
        try:
            text = files.read(self.path, most)
            return parse(text if most < 0 or IMAGES in text else files.read(self.path))
        except (OSError, UsageError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(clean(f"{self.path} cannot be read: {why}")) from None


def store(report: Report, document: str) -> str:
    """Store the JSON document of a report and remove the oldest ones; raises UsageError if it cannot be written.

    Returns the name of the run. A run that never began, as without an engine (`pull_nothing`), is not stored, and has
    none.
    """
    if report.stopped and not report.seconds:
        return ""
    folder = _folder()
    try:
        directories.make_directory(folder)
    except OSError as error:
        raise UsageError(plain_error(error)) from None
    began = report.started.astimezone(UTC)
    before = runs()
    number = max((run.order[0] for run in before), default=0) + 1
    name = f"{began:%Y%m%dT%H%M%S}.{began.microsecond // 1000:03}Z-{os.getpid()}-{number}"
    files.write(folder / f"{name}.json", document, private=True)
    size = len(document)
    for number, run in enumerate(reversed(before), 2):
        with suppress(OSError):  # another run may have removed it at the same time
            size += run.path.stat().st_size
            if number > KEPT or size > MOST_BYTES:
                run.path.unlink()
    return name


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
    if _INDEX.fullmatch(which):
        if not 1 <= int(which) <= len(stored):
            raise UsageError(f"there is no run {which}: {len(stored)} are on record, and 1 is the newest")
        return stored[-int(which)]
    found = [run for run in stored if run.name.startswith(which)]
    if len(found) != 1:
        many = f"{len(found)} runs begin" if found else "no run begins"
        raise UsageError(f"{many} with {clean(which, 60)!r}: `puller history` lists their names")
    return found[0]


def names_run(text: str) -> bool:
    """Tell whether a text looks like a run's number, or like its name or the beginning of it."""
    return bool(_INDEX.fullmatch(text) or _NAME.fullmatch(text))


def beginning_with(text: str) -> list[str]:
    """Return the names of the runs that begin so, newest first, for the shell to complete."""
    with suppress(UsageError):
        return [run.name for run in reversed(runs()) if run.name.startswith(text)]
    return []


def last_over_hosts(lists: tuple[str, ...], directory: str) -> Run:
    """Return the last run over hosts, of these lists if there are any; raises UsageError if there is none."""
    wanted = _paths(RunDetails(lists=lists, directory=directory))
    for run in reversed(runs()):
        with suppress(UsageError):
            details = run.summary().details
            if details.hosts and (not lists or _paths(details) == wanted):
                return run
    which = f" of {' '.join(map(clean, lists))}" if lists else ""
    raise UsageError(f"no run over hosts{which} is on record in {clean(str(_folder()))}")


def runs_to_repeat(lists: tuple[str, ...], directory: str) -> Iterator[Run]:
    """Yield the runs whose images `--failed` may mean, newest first; raises UsageError if there is no run.

    With `lists` that is their last run, whether it failed or not. Without, these are the runs that failed, unless their
    lists were pulled from or into the same place without a failure since.
    """
    wanted = _paths(RunDetails(lists=lists, directory=directory))
    seen: set[tuple[frozenset[str], tuple[str, ...]]] = set()
    for run in reversed(runs()):
        try:
            summary = run.summary()
        except UsageError:
            continue
        if hosts := summary.details.hosts:  # its images are for other engines
            if not (lists or seen or summary.ok):
                words = f"the last run that failed was over {counted(hosts, 'host')}: `puller fleet pull --failed`"
                raise UsageError(f"{words} pulls into these; name a LIST, or a RUN of `puller history`, for another")
            continue
        paths = _paths(summary.details)
        if lists and paths == wanted:
            yield run
            return
        if not (lists or (paths, summary.details.target) in seen or summary.ok):
            yield run
        seen.add((paths, summary.details.target))
    if lists or not seen:
        which = f" of {' '.join(map(clean, lists))}" if lists else ""
        raise UsageError(f"no run{which} is on record in {clean(str(_folder()))}")


def _paths(details: RunDetails) -> frozenset[str]:
    """Identify the lists of a run, however their paths were written."""
    paths = {name: os.path.normpath(os.path.join(details.directory, name)) for name in details.lists}  # noqa: PTH118
    return frozenset(path if os.path.lexists(path) else name for name, path in paths.items())


def _folder() -> Path:
    return state_home() / "runs"
