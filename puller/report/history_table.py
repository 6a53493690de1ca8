"""Past runs as a table with sparklines, and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence

from puller.model import Status
from puller.report.json import Summary
from puller.text import aligned, clean, counted, format_bytes, format_seconds, shorten, timestamp

SCHEMA = "puller.history/1"
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-~=*%#"
"""For terminals that cannot show `BLOCKS`."""
_NAME_LENGTHS = (15, 20)
"""Characters of a run's name up to the seconds and the milliseconds, which tell most runs apart."""
_LONGEST_LISTS = 60
"""Characters of the names of lists in the table."""
_TEXTS = {"RUN", "STARTED (UTC)", "HOST"}
_SPARE = ("STARTED (UTC)", "IMAGES", "HOST", "FETCHED", "UP TO DATE", "NOT PULLED", "HOSTS", "PULLED")
"""Columns that are left out where the terminal is narrow, in this order; the name of a run has its start."""
_LISTS_WIDTH = 11
"""Characters of the names of lists that matter more than a column of `_SPARE`."""
_SMALLEST_CHANGE = 1.0
"""Seconds: smaller differences between runs are not worth a chart."""


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
