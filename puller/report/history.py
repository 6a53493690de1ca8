"""Past runs: `puller pull` stores its JSON report in the user's state directory, which keeps the newest ones."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import NamedTuple, TypeVar

from puller.errors import UsageError
from puller.model import Report, RunDetails, Status
from puller.report.json import IMAGES, Summary, report_of, summary_of
from puller.system import directories, files
from puller.system.paths import state_home
from puller.text import aligned, clean, counted, format_bytes, format_seconds, plain_error, shorten, timestamp

T = TypeVar("T")
KEPT = 50
"""Number of runs that are kept."""
MOST_BYTES = 200_000_000
"""Bytes of all runs that are kept, beside the newest: that of many hosts with many images has 10 MB and more."""
SCHEMA = "puller.history/1"
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-~=*%#"
"""For terminals that cannot show `BLOCKS`."""
_INDEX = re.compile(r"\d{1,2}")
_NAME = re.compile(r"\d{8}T[\dZ.-]*")
_NAME_LENGTHS = (15, 20)
"""Characters of a run's name up to the seconds and the milliseconds, which tell most runs apart."""
_HEAD = 64 * 1024
"""Bytes in which the summary of a report usually ends."""
_LONGEST_LISTS = 60
"""Characters of the names of lists in the table."""
_TEXTS = {"RUN", "STARTED (UTC)", "HOST"}
_SPARE = ("STARTED (UTC)", "IMAGES", "HOST", "FETCHED", "UP TO DATE", "NOT PULLED", "HOSTS", "PULLED")
"""Columns that are left out where the terminal is narrow, in this order; the name of a run has its start."""
_LISTS_WIDTH = 11
"""Characters of the names of lists that matter more than a column of `_SPARE`."""
_SMALLEST_CHANGE = 1.0
"""Seconds: smaller differences between runs are not worth a chart."""


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
        """Read the summary of its report, and not the images; raises UsageError likewise."""
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


def render_text(summaries: Sequence[tuple[str, Summary]], blocks: str = BLOCKS, width: int | None = None) -> str:
    """Return a table with a line for each run, and sparklines of the runs of the newest run's lists.

    `width` is that of the terminal in columns: names of lists are shortened to it, and columns that it has no room for
    are left out.
    """
    if not summaries:
        return ""
    runs = [run for _, run in summaries]
    names = [name for name, _ in summaries]
    for length in _NAME_LENGTHS:
        if len({name[:length] for name in names}) == len(names):
            names = [name[:length] for name in names]
            break
    hidden = set() if any(run.counts[Status.CANCELLED] for run in runs) else {"NOT PULLED"}
    hidden |= set() if any(run.details.hosts for run in runs) else {"HOSTS"}
    hidden |= {"HOST"} if len({run.details.host for run in runs} - {""}) <= 1 else set()
    cells = [_cells(name, run) for name, run in zip(names, runs, strict=True)]
    columns = [title for title in cells[0] if title not in hidden]
    lists = [_names(run.details.lists) for run in runs]
    if width:
        room = width - sum(_widths(columns, cells))
        for title in _SPARE:
            if room < max(map(len, lists)) and room < _LISTS_WIDTH and title in columns:
                columns.remove(title)
                room = width - sum(_widths(columns, cells))
        lists = [_names(run.details.lists, max(room, 1)) for run in runs]
    rows = [
        (*columns, "LISTS"),
        *((*map(row.__getitem__, columns), named) for row, named in zip(cells, lists, strict=True)),
    ]
    right = [index for index, title in enumerate(columns) if title not in _TEXTS]
    trends = [*_trends(runs, blocks, width or _LONGEST_LISTS)]
    return "\n".join((*aligned(rows, right), *([""] if trends else []), *trends)) + "\n"


def _widths(columns: Sequence[str], cells: Sequence[Mapping[str, str]]) -> Iterator[int]:
    """Return the width of each column, with the space after it."""
    return (max(len(title), *(len(row[title]) for row in cells)) + 2 for title in columns)


def _trends(summaries: Sequence[Summary], blocks: str, width: int) -> Iterator[str]:
    """Yield sparklines of the runs of the newest run's lists, if these differ.

    Other lists cannot be compared, nor can runs over other numbers of hosts.
    """
    lists, hosts = summaries[-1].details.lists, summaries[-1].details.hosts
    same = [run for run in summaries if (run.details.lists, run.details.hosts) == (lists, hosts)]
    seconds, failed = [run.seconds for run in same], [run.counts[Status.FAILED] for run in same]
    least, most = min(seconds), max(seconds)
    lines = []
    if most - least >= max(_SMALLEST_CHANGE, most / 5):
        lines.append(f"time    {sparkline(seconds, blocks)}  {format_seconds(least)} to {format_seconds(most)}")
    if len({*failed}) > 1:
        lines.append(f"failed  {sparkline(failed, blocks)}  {min(failed)} to {max(failed)}")
    if lines and len(same) < len(summaries):
        into = f" into {counted(hosts, 'host')}" if hosts else ""
        yield f"the {len(same)} runs of {_names(lists, max(width - len(f'the 50 runs of {into}:'), 1))}{into}:"
    yield from lines


def _names(lists: Sequence[str], width: int = _LONGEST_LISTS) -> str:
    """Return the names of lists in at most `width` columns, without directories if these do not fit."""
    text = clean(" ".join(lists)) or "-"
    if len(text) > width:
        text = clean(" ".join(name.rstrip("/").rpartition("/")[2] or name for name in lists))
    return shorten(text, width)


def render_json(summaries: Sequence[tuple[str, Summary]]) -> str:
    """Return the runs as a JSON document."""
    rows = [
        {
            "run": name,
            "started": timestamp(run.started),
            "seconds": round(run.seconds, 3),
            "ok": run.ok,
            "stopped": run.stopped or None,
            "counts": run.counts,
            "bytes": run.bytes,
            "lists": run.details.lists,
            "host": run.details.host or None,
            "engine": run.details.engine or None,
            "hosts": run.details.hosts or None,
            "exit_code": run.details.exit_code,
        }
        for name, run in summaries
    ]
    return json.dumps({"schema": SCHEMA, "runs": rows}, indent=2) + "\n"


def sparkline(values: Sequence[float], blocks: str = BLOCKS) -> str:
    """Return one character for each value, scaled from zero to the largest value."""
    largest = max(values, default=0) or 1
    return "".join(blocks[round(value / largest * (len(blocks) - 1))] for value in values)


def _cells(name: str, run: Summary) -> dict[str, str]:
    counts, details = run.counts, run.details
    return {
        "RUN": name,
        "STARTED (UTC)": timestamp(run.started)[:16].replace("T", " "),
        "HOST": clean(details.host) or "-",
        "HOSTS": str(details.hosts or "-"),
        "TOOK": format_seconds(run.seconds),
        "IMAGES": str(sum(counts.values())),
        "PULLED": str(counts[Status.PULLED]),
        "UP TO DATE": str(counts[Status.UP_TO_DATE] + counts[Status.PRESENT]),
        "FAILED": str(counts[Status.FAILED]),
        "NOT PULLED": str(counts[Status.CANCELLED]),
        "FETCHED": "-" if run.bytes is None else format_bytes(run.bytes),
    }


def _folder() -> Path:
    return state_home() / "runs"
