"""Draws the state as lines of styled text, at most as many as the terminal has."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from puller.cli.progress.state import RunningPull, State
from puller.events import Phase, Progress
from puller.model import Status
from puller.text import clean, format_bytes, format_seconds

FRAMES_PER_SECOND = 8
Line = list[tuple[str, str]]
"""Pieces of text with their styles."""

# Widths in columns.
_PHASE = max(len(phase) for phase in Phase)
_BYTES = len("999.9MB/999.9MB")
_RATE = len("999.9MB/s")
_GAP = _MARK = 2
_USUAL_NAME = 30
_SHORTEST_NAME = 12
_SHORTEST_BAR = 10
_LONGEST_BAR = 24
_LONGEST_OVERALL = 40
_WIDE = 90
_FACTS = 46
_MINUTE = 60


class Glyphs(NamedTuple):
    """The symbols of the view."""

    marks: dict[Status, str]
    spinner: str
    retry: str
    pause: str
    full: str
    empty: str
    ellipsis: str


UNICODE = Glyphs(dict(zip(Status, "✓==✗-", strict=True)), "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "↻", "‖", "━", "─", "…")
ASCII = Glyphs(dict(zip(Status, "+==x-", strict=True)), "|/-\\", "~", "|", "#", ".", "..")


def _columns(width: int, longest_name: int) -> tuple[int, int, bool]:
    """Return the widths of name and bar, and whether there is a rate: first comes the usual name, then rate and bar."""
    # The last column of the terminal stays empty: some terminals wrap after it.
    free = width - 1 - _MARK - _GAP - _PHASE - _GAP - _BYTES
    least = min(longest_name, _USUAL_NAME)
    rate = free >= least + _GAP + _RATE
    free -= _GAP + _RATE if rate else 0
    bar = free >= least + _GAP + _SHORTEST_BAR
    free -= _GAP + _SHORTEST_BAR if bar else 0
    name = min(longest_name, max(_SHORTEST_NAME, free))
    return name, min(_LONGEST_BAR, _SHORTEST_BAR + free - name) if bar else 0, rate


def draw(state: State, glyphs: Glyphs, width: int, height: int) -> list[Line]:
    """Return a line for each running pull and each pause, and last a line for the whole run."""
    with state.lock:
        return [*_draw(state, glyphs, width, height)]


def _draw(state: State, glyphs: Glyphs, width: int, height: int) -> Iterator[Line]:
    now = state.clock()
    pauses = [(clean(subject), ends - now, kind) for subject, (ends, kind) in state.pauses.items() if ends > now]
    pulls, limit = [*state.running.values()], max(0, height - 3 - len(pauses))
    shown = pulls if len(pulls) <= limit else pulls[: max(0, limit - 1)]
    columns = _columns(width, state.longest_name)
    frame = glyphs.spinner[int((now - state.began) * FRAMES_PER_SECOND) % len(glyphs.spinner)]
    for pull in shown:
        yield _row(pull, columns, glyphs, frame, now)
    if hidden := len(pulls) - len(shown):
        yield [(f"{glyphs.ellipsis} and {hidden} more", "dim")]
    for subject, seconds, kind in pauses[: max(0, height - 3)]:
        yield [(f"{glyphs.pause} {subject}  paused for {whole_seconds(math.ceil(seconds))}: {kind}", "yellow")]
    yield _overall(state, glyphs, width, now)


def _row(pull: RunningPull, columns: tuple[int, int, bool], glyphs: Glyphs, frame: str, now: float) -> Line:
    name_width, bar_width, shows_rate = columns
    label = cut_middle(pull.name, name_width, glyphs.ellipsis).ljust(name_width)
    if retry := pull.retry:
        wait = whole_seconds(math.ceil(max(0.0, pull.retry_at - now)))
        text = f"  retry {retry.attempt} in {wait}: {retry.failure.kind}"
        return [(f"{glyphs.retry} ", "yellow"), (label, ""), (text, "yellow")]
    phase, rate = pull.progress.phase if pull.progress else None, pull.meter.rate(now)
    style = "" if phase in (Phase.DOWNLOADING, Phase.EXTRACTING) else "dim"
    line = [(f"{frame} ", "cyan"), (label, ""), (f"  {phase or 'starting':<{_PHASE}}", style)]
    done, total, amount = _measure(pull.progress) if pull.progress else (0, 0, "")
    if bar_width:
        bar = _bar(glyphs, bar_width, total, [(done, "cyan")]) if total else [(" " * bar_width, "")]
        line += [("  ", ""), *bar]
    line.append((f"  {amount:>{_BYTES}}", ""))
    if shows_rate and phase is Phase.DOWNLOADING and rate >= 1:
        line.append((f"  {format_bytes(rate) + '/s':>{_RATE}}", "dim"))
    return line


def _measure(seen: Progress) -> tuple[int, int, str]:
    """Return done, total and text: in bytes if they are known and the engine downloads, otherwise in layers."""
    if seen.total and seen.phase is not Phase.EXTRACTING:
        return seen.current, seen.total, f"{format_bytes(seen.current)}/{format_bytes(seen.total)}"
    if seen.layers:
        return seen.layers_done, seen.layers, f"{seen.layers_done}/{seen.layers} layers"
    return 0, 0, ""


def _overall(state: State, glyphs: Glyphs, width: int, now: float) -> Line:
    failed, cancelled, rate = state.counts[Status.FAILED], state.counts[Status.CANCELLED], state.meter.rate(now)
    done = sum(state.counts.values())
    left = max(0, state.total - done)
    facts = [(f"{state.total - left}/{state.total} done", "")]
    facts += [(f"{failed} failed", "red")] if failed else []
    facts += [(f"{cancelled} cancelled", "yellow")] if cancelled else []
    facts += [(f"{left} left", "dim")]
    facts += [(format_bytes(state.downloaded), "")] if state.downloaded else []
    facts += [(f"{format_bytes(rate)}/s", "dim")] if rate >= 1 and width >= _WIDE else []
    facts += [(whole_seconds(int(now - state.began)), "dim")]
    text = [piece for fact in facts for piece in (("  ", ""), fact)]
    # At least the usual width of the facts, so that the bar does not change its length all the time.
    needed = max(sum(len(part) for part, _ in text), _FACTS)
    bar = min(_LONGEST_OVERALL, width - 1 - needed)
    if bar < _SHORTEST_BAR:
        return text[1:]
    parts = [(done - failed - cancelled, "green"), (failed, "red"), (cancelled, "yellow")]
    return _bar(glyphs, bar, state.total, parts) + text


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
