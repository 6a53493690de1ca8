"""The text report: a table of the images, the failures by cause and, last, a summary and the next commands."""

from collections.abc import Iterator, Sequence

from puller.failure import Failure
from puller.image.digest import short_digest
from puller.model import PullOutcome, Report, Status
from puller.model.hosts import HostState
from puller.report.hosts import COLUMNS, HOST_ORDER, NUMBERS, amount_of, host_names, host_rows, spread
from puller.report.words import (
    KEPT,
    advice,
    bare_name,
    by_cause,
    image_name,
    is_bad_line,
    next_commands,
    notes,
    origin,
    row_digest,
    row_name,
    shared_message,
    status_words,
    stops,
    totals,
    verdict,
)
from puller.text import aligned, clean, counted, format_bytes, format_seconds

_COLUMNS = ("STATUS", "IMAGE", "DIGEST", "FETCHED", "ATTEMPTS", "TOOK")
_FETCHED, _ATTEMPTS = 3, 4
_NAMED = 100
"""Failed images that are named; the table and the other reports have all."""
_FEW = 10
"""Images that are named under one cause on a terminal, which has shown a line for each."""
_REST = ": `--report failed=PATH` lists all"
_STYLES = dict(zip(Status, ("32", "2", "2", "31", "33", "36"), strict=True))
"""The colours of a status, as terminals number them."""
_HOST_STYLES = {
    **dict.fromkeys(HOST_ORDER, Status.CANCELLED),
    HostState.FAILED: Status.FAILED,
    HostState.DONE: Status.PULLED,
    HostState.RUNNING: Status.PENDING,
}
"""The state of a host has the colour of a status."""


def render(report: Report, *, run: str = "", color: bool = False) -> str:
    """Return the report for people who did not see the run; `run` is its name."""
    blocks = (origin(report, run), table(report, color=color), conclusion(report, color=color, run=run))
    return "\n\n".join(block.rstrip("\n") for block in blocks if block) + "\n"


def table(report: Report, *, color: bool = False) -> str:
    """Return the table of all images, or of all hosts; empty if puller began with none of them."""
    if report.fleet:
        return _hosts(report, color=color)
    outcomes = report.outcomes
    if all(outcome.status is Status.CANCELLED and not outcome.attempts for outcome in outcomes):
        return ""
    hidden = {_FETCHED} if report.bytes <= report.other_bytes else set()
    hidden |= {_ATTEMPTS} if all(len(outcome.attempts) <= 1 for outcome in outcomes) else set()
    shown = [column for column in range(len(_COLUMNS)) if column not in hidden]
    rows = [_COLUMNS, *(_cells(report, outcome) for outcome in outcomes)]
    right = range(shown.index(2) + 1, len(shown))
    lines = [*aligned([tuple(row[column] for column in shown) for row in rows], right)]
    if color:
        lines[1:] = [_row(line, report, outcome) for line, outcome in zip(lines[1:], outcomes, strict=True)]
    return "\n".join(lines) + "\n"


def conclusion(report: Report, *, brief: bool = False, color: bool = False, run: str = "") -> str:
    """Return the part below the table: the failures, the summary and the next commands; `brief` names fewer images."""
    blocks = [*_failures(report.failed, _FEW if brief else _NAMED, color=color), "\n".join(notes(report.outcomes))]
    line = _paint(verdict(report), Status.PULLED if report.ok else Status.FAILED, color=color)
    rows = [(command, f"# {what}") for command, what in next_commands(report, run)]
    commands = [f"{' ' * 6 if at else 'next: '}{line}" for at, line in enumerate(aligned(rows, ()))]
    summary = f"{line}: {totals(report)}" if report.outcomes else line
    return "\n\n".join([*filter(None, blocks), "\n".join((summary, *stops(report), *commands))]) + "\n"


def _cells(report: Report, outcome: PullOutcome) -> tuple[str, ...]:
    return (
        status_words(outcome.status, report.details),
        row_name(outcome),
        short_digest(row_digest(outcome)) or "-",
        format_bytes(outcome.bytes) if outcome.bytes else "-",
        str(len(outcome.attempts)),
        format_seconds(outcome.took),
    )


def _hosts(report: Report, *, color: bool) -> str:
    found = [*host_rows(report)]
    with_reasons = any(cells[-1] for _, cells in found)
    rows = [COLUMNS, *(cells for _, cells in found)]
    lines = [*aligned(rows if with_reasons else [row[:-1] for row in rows], NUMBERS)]
    if color:
        styles = [_HOST_STYLES[host.state] for host, _ in found]
        widths = [len(cells[0]) for _, cells in found]
        both = zip(lines[1:], styles, widths, strict=True)
        lines[1:] = [_paint(line[:width], style, color=True) + line[width:] for line, style, width in both]
    return "\n".join(lines) + "\n"


def _row(line: str, report: Report, outcome: PullOutcome) -> str:
    """Color the status at the beginning of a row."""
    width = len(status_words(outcome.status, report.details))
    return _paint(line[:width], outcome.status, color=True) + line[width:]


def _paint(text: str, status: Status, *, color: bool) -> str:
    return f"\x1b[{_STYLES[status]}m{text}\x1b[0m" if color else text


def _failures(outcomes: Sequence[PullOutcome], named: int, *, color: bool) -> Iterator[str]:
    """Write each cause once, and its first images under it."""
    left, more, failed = _NAMED, 0, _paint("failed", Status.FAILED, color=color)
    for why, images in by_cause(outcomes):
        if left <= 0:
            more += len(images)
            continue
        shown = images[: min(left, named)]
        left -= len(shown)
        yield "\n".join(_cause(why, images, shown)).replace("failed", failed, 1)
    if more:
        yield f"{failed}: {counted(more, 'image')} more for other reasons{_REST}"


def _name(image: PullOutcome) -> str:
    """Return an image as the user typed it; an invalid line in quotes."""
    return f'"{image_name(image)}"' if is_bad_line(image) else image_name(image)


def _cause(why: Failure, images: Sequence[PullOutcome], shown: Sequence[PullOutcome]) -> Iterator[str]:
    message, alone = shared_message(images), len(images) == 1
    what = counted(len(images), "line" if is_bad_line(images[0]) else "image")
    what = amount_of(images) if images[0].host else what
    yield f"failed: {_name(images[0]) if alone else what}: {why.named}"
    kept = KEPT if alone and images[0].kept else ""
    yield from filter(str.strip, (f"  {message}", f"  {kept}", *(f"  → {line}" for line in advice(why))))
    if images[0].host and not alone:
        yield from _on_hosts(images, message)
        return
    for image in () if alone else shown:
        own = clean(image.failure.message) if image.failure and not message else ""
        names = (own, _name(image)) if is_bad_line(image) else (_name(image), own)
        yield f"    {': '.join(filter(None, names))}{f' ({KEPT})' if image.kept else ''}"
    if more := len(images) - len(shown):
        yield f"    … and {more} more{_REST}"


def _on_hosts(images: Sequence[PullOutcome], message: str) -> Iterator[str]:
    """Name each image once, with its hosts."""
    found = spread(images)
    for image, hosts in found[:_NAMED]:
        own = f": {clean(image.failure.message)}" if image.failure and not message else ""
        yield f"    {bare_name(image)} on {host_names(hosts)}{own}"
    if (more := len(found) - _NAMED) > 0:
        yield f"    … and {more} more{_REST}"
