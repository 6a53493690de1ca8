"""Draws a snapshot as lines of styled text, at most as many as the terminal has."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from puller.cli.progress.state import Row, Snapshot
from puller.events import Phase, Progress
from puller.model import Status
from puller.text import format_bytes, format_seconds

FRAMES_PER_SECOND = 8
Piece = tuple[str, str]
"""Text and its style."""
Line = list[Piece]

# Widths in columns.
_PHASE = max(len(phase) for phase in Phase)
_BYTES = len("999.9MB/999.9MB")
_RATE = len("999.9MB/s")
_GAP = 2
_MARK = 2
_USUAL_NAME = 30
_SHORTEST_NAME = 12
_SHORTEST_BAR = 10
_LONGEST_BAR = 24
_LONGEST_OVERALL = 40
_WIDE = 90
_FACTS = 46
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The symbols of the view."""

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
    """Widths of the columns beside phase and bytes. The usual name comes first, then rate, bar, and a longer name."""

    name: int
    bar: int
    rate: bool

    @classmethod
    def fit(cls, width: int, longest_name: int) -> "_Columns":
        # The last column of the terminal stays empty: some terminals wrap after it.
        free = width - 1 - _MARK - _GAP - _PHASE - _GAP - _BYTES
        least = min(longest_name, _USUAL_NAME)
        rate = free >= least + _GAP + _RATE
        free -= _GAP + _RATE if rate else 0
        bar = free >= least + _GAP + _SHORTEST_BAR
        free -= _GAP + _SHORTEST_BAR if bar else 0
        name = min(longest_name, max(_SHORTEST_NAME, free))
        return cls(name, min(_LONGEST_BAR, _SHORTEST_BAR + free - name) if bar else 0, rate)


def draw(snapshot: Snapshot, glyphs: Glyphs, width: int, height: int) -> Iterator[Line]:
    """Yield a line for each running pull and each pause, and last a line for the whole run."""
    limit = max(0, height - 3 - len(snapshot.pauses))
    shown = snapshot.rows if len(snapshot.rows) <= limit else snapshot.rows[: max(0, limit - 1)]
    columns = _Columns.fit(width, snapshot.longest_name)
    frame = glyphs.spinner[int(snapshot.elapsed * FRAMES_PER_SECOND) % len(glyphs.spinner)]
    for row in shown:
        yield _row(row, columns, glyphs, frame)
    if hidden := len(snapshot.rows) - len(shown):
        yield [(f"{glyphs.ellipsis} and {hidden} more", "dim")]
    for pause in snapshot.pauses[: max(0, height - 3)]:
        wait = whole_seconds(math.ceil(pause.seconds_left))
        yield [(f"{glyphs.pause} {pause.subject}  paused for {wait}: {pause.kind}", "yellow")]
    yield _overall(snapshot, glyphs, width)


def _row(row: Row, columns: _Columns, glyphs: Glyphs, frame: str) -> Line:
    label = cut_middle(row.name, columns.name, glyphs.ellipsis).ljust(columns.name)
    if row.retry:
        wait = whole_seconds(math.ceil(row.retry.seconds_left))
        text = f"  retry {row.retry.number} in {wait}: {row.retry.kind}"
        return [(f"{glyphs.retry} ", "yellow"), (label, ""), (text, "yellow")]
    phase = row.progress.phase if row.progress else None
    style = "" if phase in (Phase.DOWNLOADING, Phase.EXTRACTING) else "dim"
    line = [(f"{frame} ", "cyan"), (label, ""), (f"  {phase or 'starting':<{_PHASE}}", style)]
    done, total, amount = _measure(row.progress) if row.progress else (0, 0, "")
    if columns.bar:
        bar = _bar(glyphs, columns.bar, total, [(done, "cyan")]) if total else [(" " * columns.bar, "")]
        line += [("  ", ""), *bar]
    line.append((f"  {amount:>{_BYTES}}", ""))
    if columns.rate and phase is Phase.DOWNLOADING and row.rate >= 1:
        line.append((f"  {format_bytes(row.rate) + '/s':>{_RATE}}", "dim"))
    return line


def _measure(seen: Progress) -> tuple[int, int, str]:
    """Return done, total and text: in bytes if they are known and the engine downloads, otherwise in layers."""
    if seen.total and seen.phase is not Phase.EXTRACTING:
        return seen.current, seen.total, f"{format_bytes(seen.current)}/{format_bytes(seen.total)}"
    if seen.layers:
        return seen.layers_done, seen.layers, f"{seen.layers_done}/{seen.layers} layers"
    return 0, 0, ""


def _overall(snapshot: Snapshot, glyphs: Glyphs, width: int) -> Line:
    facts = [(f"{snapshot.total - snapshot.left}/{snapshot.total} done", "")]
    if snapshot.failed:
        facts.append((f"{snapshot.failed} failed", "red"))
    if snapshot.cancelled:
        facts.append((f"{snapshot.cancelled} cancelled", "yellow"))
    facts.append((f"{snapshot.left} left", "dim"))
    if snapshot.downloaded:
        facts.append((format_bytes(snapshot.downloaded), ""))
    if snapshot.rate >= 1 and width >= _WIDE:
        facts.append((f"{format_bytes(snapshot.rate)}/s", "dim"))
    facts.append((whole_seconds(int(snapshot.elapsed)), "dim"))
    text = [piece for fact in facts for piece in (("  ", ""), fact)]
    # At least the usual width of the facts, so that the bar does not change its length all the time.
    needed = max(sum(len(part) for part, _ in text), _FACTS)
    bar = min(_LONGEST_OVERALL, width - 1 - needed)
    if bar < _SHORTEST_BAR:
        return text[1:]
    parts = [(snapshot.present, "green"), (snapshot.failed, "red"), (snapshot.cancelled, "yellow")]
    return _bar(glyphs, bar, snapshot.total, parts) + text


def _bar(glyphs: Glyphs, width: int, total: int, parts: list[tuple[int, str]]) -> Line:
    """Draw a bar of coloured parts, each a share of `total`."""
    bar: Line = []
    reached = drawn = 0
    for number, style in parts:
        reached += number
        columns = max(0, min(width, width * reached // total) - drawn) if total else 0
        bar.append((glyphs.full * columns, style))
        drawn += columns
    return [*bar, (glyphs.empty * (width - drawn), "bright_black")]


def cut_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Shorten a name in the middle, because registry and tag are at its ends."""
    if len(text) <= width:
        return text
    keep = max(0, width - len(ellipsis))
    head = keep // 3
    return text[:head] + ellipsis + text[len(text) - (keep - head) :]


def whole_seconds(seconds: int) -> str:
    """Format whole seconds, for times that are redrawn several times a second."""
    return f"{seconds}s" if seconds < _MINUTE else format_seconds(seconds)
