"""Snapshot → lines of a terminal: pure, and never more of them than the terminal has."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from puller.cli.progress.state import Row, Snapshot
from puller.events import Phase
from puller.model import Status
from puller.text import format_bytes, format_seconds

FRAMES_PER_SECOND = 8
Piece = tuple[str, str]
"""Words and the style to show them in."""
Line = list[Piece]

_PHASE = max(len(phase) for phase in Phase)
_BYTES = len("999.9MB/999.9MB")
_RATE = len("999.9MB/s")
_GAP = 2
_MARK = 2
_FAIR_NAME = 30
_SHORTEST_NAME = 12
_SHORTEST_BAR = 10
_LONGEST_BAR = 24
_LONGEST_OVERALL = 40
_WIDE = 90
_FACTS = 46
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The marks of a view, in characters that the terminal has."""

    marks: dict[Status, str]
    spinner: str
    retry: str
    pause: str
    full: str
    empty: str
    ellipsis: str


UNICODE = Glyphs(
    {Status.PULLED: "✓", Status.UP_TO_DATE: "=", Status.PRESENT: "=", Status.FAILED: "✗", Status.CANCELLED: "-"},
    spinner="⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏",
    retry="↻",
    pause="‖",
    full="━",
    empty="─",
    ellipsis="…",
)
ASCII = Glyphs(
    {Status.PULLED: "+", Status.UP_TO_DATE: "=", Status.PRESENT: "=", Status.FAILED: "x", Status.CANCELLED: "-"},
    spinner="|/-\\",
    retry="~",
    pause="|",
    full="#",
    empty=".",
    ellipsis="..",
)


@dataclass(frozen=True, slots=True)
class _Columns:
    """What fits beside phase and bytes: a fair part of the name, the rate, a bar, and then more of the name."""

    name: int
    bar: int
    rate: bool

    @classmethod
    def fit(cls, width: int, widest: int) -> "_Columns":
        # The last column stays free: a terminal may wrap when it is written.
        free = width - 1 - _MARK - _GAP - _PHASE - _GAP - _BYTES
        least = min(widest, _FAIR_NAME)
        rate = free >= least + _GAP + _RATE
        free -= _GAP + _RATE if rate else 0
        bar = free >= least + _GAP + _SHORTEST_BAR
        free -= _GAP + _SHORTEST_BAR if bar else 0
        name = min(widest, max(_SHORTEST_NAME, free))
        return cls(name, min(_LONGEST_BAR, _SHORTEST_BAR + free - name) if bar else 0, rate)


def draw(snapshot: Snapshot, glyphs: Glyphs, width: int, height: int) -> Iterator[Line]:
    """Draw one line for each image in flight, and last the whole run."""
    room = max(0, height - 3 - len(snapshot.pauses))
    shown = snapshot.rows if len(snapshot.rows) <= room else snapshot.rows[: max(0, room - 1)]
    columns = _Columns.fit(width, snapshot.widest)
    frame = glyphs.spinner[int(snapshot.elapsed * FRAMES_PER_SECOND) % len(glyphs.spinner)]
    for row in shown:
        yield _row(row, columns, glyphs, frame)
    if hidden := len(snapshot.rows) - len(shown):
        yield [(f"{glyphs.ellipsis} and {hidden} more", "dim")]
    for pause in snapshot.pauses[: max(0, height - 3)]:
        wait = whole_seconds(math.ceil(pause.seconds_left))
        yield [(f"{glyphs.pause} ", "yellow"), (f"{pause.subject}  waits {wait}: {pause.kind}", "yellow")]
    yield _overall(snapshot, glyphs, width)


def _row(row: Row, columns: _Columns, glyphs: Glyphs, frame: str) -> Line:
    label = squeeze(row.name, columns.name, glyphs.ellipsis).ljust(columns.name)
    if row.retry:
        wait = whole_seconds(math.ceil(row.retry.seconds_left))
        words = f"  retry {row.retry.number} in {wait}: {row.retry.kind}"
        return [(f"{glyphs.retry} ", "yellow"), (label, ""), (words, "yellow")]
    busy = row.phase in (Phase.DOWNLOADING, Phase.EXTRACTING)
    line = [(f"{frame} ", "cyan"), (label, ""), (f"  {row.phase or 'starting':<{_PHASE}}", "" if busy else "dim")]
    done, total, amount = _measure(row)
    if columns.bar:
        bar = _bar(glyphs, columns.bar, total, [(done, "cyan")]) if total else [(" " * columns.bar, "")]
        line += [("  ", ""), *bar]
    line.append((f"  {amount:>{_BYTES}}", ""))
    if columns.rate and row.phase is Phase.DOWNLOADING and row.rate >= 1:
        line.append((f"  {format_bytes(row.rate) + '/s':>{_RATE}}", "dim"))
    return line


def _measure(row: Row) -> tuple[int, int, str]:
    """Say how far a row is: in bytes while they come and are known, else in layers."""
    if row.total and row.phase is not Phase.EXTRACTING:
        return row.current, row.total, f"{format_bytes(row.current)}/{format_bytes(row.total)}"
    if row.layers:
        return row.layers_done, row.layers, f"{row.layers_done}/{row.layers} layers"
    return 0, 0, ""


def _overall(snapshot: Snapshot, glyphs: Glyphs, width: int) -> Line:
    facts = [(f"{snapshot.total - snapshot.left}/{snapshot.total} done", "")]
    if snapshot.failed:
        facts.append((f"{snapshot.failed} failed", "red"))
    if snapshot.cancelled:
        facts.append((f"{snapshot.cancelled} cancelled", "yellow"))
    facts.append((f"{snapshot.left} left", "dim"))
    if snapshot.fetched:
        facts.append((format_bytes(snapshot.fetched), ""))
    if snapshot.rate >= 1 and width >= _WIDE:
        facts.append((f"{format_bytes(snapshot.rate)}/s", "dim"))
    facts.append((whole_seconds(int(snapshot.elapsed)), "dim"))
    text = [piece for words, style in facts for piece in (("  ", ""), (words, style))]
    # As much as the facts may come to need: the bar is not to change its length every other second.
    needed = max(sum(len(words) for words, _ in text), _FACTS)
    bar = min(_LONGEST_OVERALL, width - 1 - needed)
    if bar < _SHORTEST_BAR:
        return text[1:]
    parts = [(snapshot.there, "green"), (snapshot.failed, "red"), (snapshot.cancelled, "yellow")]
    return _bar(glyphs, bar, snapshot.total, parts) + text


def _bar(glyphs: Glyphs, width: int, total: int, parts: list[tuple[int, str]]) -> Line:
    """Draw a bar of parts, each a share of `total` in its colour."""
    bar: Line = []
    reached = drawn = 0
    for number, style in parts:
        reached += number
        columns = max(0, min(width, width * reached // total) - drawn) if total else 0
        bar.append((glyphs.full * columns, style))
        drawn += columns
    return [*bar, (glyphs.empty * (width - drawn), "bright_black")]


def squeeze(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut a name in its middle: where it comes from and which tag it is are at its ends."""
    if len(text) <= width:
        return text
    keep = max(0, width - len(ellipsis))
    head = keep // 3
    return text[:head] + ellipsis + text[len(text) - (keep - head) :]


def whole_seconds(seconds: int) -> str:
    """Write a time that ticks once a second: tenths would flicker."""
    return f"{seconds}s" if seconds < _MINUTE else format_seconds(seconds)
