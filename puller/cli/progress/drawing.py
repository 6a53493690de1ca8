"""Draws the state as lines of styled text, at most as many as the terminal has."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from puller.cli.progress.state import RunningPull, State, phase_words
from puller.events import Phase, Progress
from puller.model import Status
from puller.text import clean, format_bytes, format_seconds

FRAMES_PER_SECOND = 8
Piece = tuple[str, str]
"""Text with its style."""
Line = list[Piece]

# Widths in columns.
_GAP = _MARK = 2
_TIME = len("59m59s")
_AMOUNT = len("127/127 layers")
_RATE = len("999.9MB/s")
_USUAL_NAME = 30
_SHORTEST_NAME = 12
_SHORTEST_BAR = 10
_LONGEST_BAR = 24
_LONGEST_OVERALL = 40
_SHORTEST_WAIT = len("waiting for its turn")
_WIDE = 120
_FACTS, _ALL_FACTS = 46, 86
_OPTIONAL = (
    (_TIME, _SHORTEST_NAME), (_AMOUNT, _SHORTEST_NAME), (_RATE, _USUAL_NAME), (_SHORTEST_BAR, _USUAL_NAME),
)  # fmt: skip
"""The columns of a row from the most to the least important, and what each leaves for the name."""
_MINUTE = 60
_STEPS = ((15, 1), (60, 5), (600, 15), (math.inf, 60))
"""The time that is left is shown, up to the first number of seconds, in steps of the second."""


class Glyphs(NamedTuple):
    """The symbols of the view."""

    marks: dict[Status, str]
    spinner: str
    retry: str
    pause: str
    full: str
    empty: str
    ellipsis: str


UNICODE = Glyphs(dict(zip(Status, "✓==✗-…", strict=True)), "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "↻", "‖", "━", "─", "…")
ASCII = Glyphs(dict(zip(Status, "+==x-.", strict=True)), "|/-\\", "~", "|", "#", ".", "..")


class _Columns(NamedTuple):
    """The widths of the columns of a row; those that do not fit are 0."""

    name: int
    time: int
    amount: int
    rate: int
    bar: int

    @classmethod
    def of(cls, width: int, longest_name: int) -> "_Columns":
        # The last column of the terminal stays empty: some terminals wrap after it.
        free, widths = width - 1 - _MARK, [0] * len(_OPTIONAL)
        for place, (column, name) in enumerate(_OPTIONAL):
            if free - _GAP - column < min(longest_name, name):
                break
            free, widths[place] = free - _GAP - column, column
        name = max(1, min(longest_name, free))
        time, amount, rate, bar = widths
        if bar:
            bar = min(_LONGEST_BAR, bar + free - name)
        elif amount:
            amount += free - name
        return cls(name, time, amount, rate, bar)

    @property
    def between(self) -> int:
        """Columns between name and time."""
        return sum(_GAP + width for width in self[2:] if width) - _GAP


def draw(state: State, glyphs: Glyphs, width: int, height: int) -> list[Line]:
    """Return a line for each running pull and each pause, and last one or two lines for the whole run."""
    with state.lock:
        return [*_draw(state, glyphs, width, height)][-max(1, height) :]


def _draw(state: State, glyphs: Glyphs, width: int, height: int) -> Iterator[Line]:
    now = state.clock()
    footer = [*_footer(state, glyphs, width - 1, now)]
    most = max(0, height - 2 - len(footer))
    pauses = [(clean(subject), ends - now, why) for subject, (ends, why) in state.pauses.items() if ends > now][:most]
    pulls, limit = [*state.running.values()], most - len(pauses)
    shown = pulls if len(pulls) <= limit else pulls[: max(0, limit - 1)]
    columns = _Columns.of(width, state.longest_name)
    frame = glyphs.spinner[int((now - state.began) * FRAMES_PER_SECOND) % len(glyphs.spinner)]
    for pull in shown:
        row = _waiting(pull, state, columns, glyphs, now) or _row(pull, columns, glyphs, frame, now)
        elapsed = whole_seconds(int(now - pull.began))
        yield [*row, (f"  {elapsed:>{_TIME}}", "dim")] if columns.time else row
    if hidden := len(pulls) - len(shown):
        yield [(f"{glyphs.ellipsis} and {hidden} more", "dim")]
    for subject, seconds, why in pauses:
        text = f"  paused for {whole_seconds(math.ceil(seconds))}: {why}"
        name = cut_middle(subject, max(_SHORTEST_NAME, width - 1 - _MARK - len(text)), glyphs.ellipsis)
        yield [(cut(f"{glyphs.pause} {name}{text}", width - 1, glyphs.ellipsis), "yellow")]
    yield from footer


def _label(pull: RunningPull, columns: _Columns, glyphs: Glyphs) -> Piece:
    return cut_middle(pull.name, columns.name, glyphs.ellipsis).ljust(columns.name), ""


def _waiting(pull: RunningPull, state: State, columns: _Columns, glyphs: Glyphs, now: float) -> Line | None:
    """Return the row of an image that waits for its next attempt, which a pause of its registry delays."""
    if not (retry := pull.retry):
        return None
    paused_until, _ = state.pauses.get(retry.request.reference.registry, (0.0, ""))
    left, space = math.ceil(max(pull.retry_at, paused_until) - now), columns.between
    brief = space < _SHORTEST_WAIT
    if left <= 0:
        text = "waiting" if brief else "waiting for its turn"
    elif brief:
        text = f"retry in {whole_seconds(left)}"
    else:
        text = f"retry {retry.attempt} in {whole_seconds(left)}: {retry.failure.title}"
    wait = [(f"  {cut(text, space, glyphs.ellipsis):<{space}}", "yellow")] if space > 0 else []
    return [(f"{glyphs.retry} ", "yellow"), _label(pull, columns, glyphs), *wait]


def _row(pull: RunningPull, columns: _Columns, glyphs: Glyphs, frame: str, now: float) -> Line:
    seen, rate = pull.progress, pull.meter.rate(now)
    downloading = seen is not None and seen.phase is Phase.DOWNLOADING
    done, total, amount = _measure(seen) if seen else (0, 0, "starting")
    line = [(f"{frame} ", "cyan"), _label(pull, columns, glyphs)]
    if columns.bar and total:
        line += [("  ", ""), *_bar(glyphs, columns.bar, total, [(done, "cyan")])]
    if room := columns.amount + (_GAP + columns.bar if columns.bar and not total else 0):
        text = amount if len(amount) <= room else amount.partition(" ")[0]
        line.append((f"  {text:>{room}}", "" if total else "dim"))
    if columns.rate:
        text = f"{format_bytes(rate)}/s" if downloading and rate >= 1 else ""
        line.append((f"  {text:>{_RATE}}", "dim"))
    return line


def _measure(seen: Progress) -> tuple[int, int, str]:
    """Return done, total and text: in bytes if they are known and the engine downloads, otherwise in layers."""
    phase = seen.phase
    if seen.total and phase is Phase.DOWNLOADING:
        return seen.current, seen.total, share(seen.current, seen.total, "/")
    if seen.layers and phase in (Phase.DOWNLOADING, Phase.EXTRACTING):
        layers = f"{seen.layers_done}/{seen.layers}"
        text = f"{phase} {layers}"
        return seen.layers_done, seen.layers, text if len(text) <= _AMOUNT else f"{layers} layers"
    return 0, 0, phase_words(phase)


def _footer(state: State, glyphs: Glyphs, room: int, now: float) -> Iterator[Line]:
    """Return the images and the bytes of the whole run: in one line if the terminal is wide enough for both."""
    failed, cancelled, done = state.counts[Status.FAILED], state.counts[Status.CANCELLED], state.done
    total = max(done, state.total)
    facts = [(f"{done}/{total} images", "")]
    facts += [(f"{failed} failed", "red")] if failed else []
    facts += [(f"{cancelled} cancelled", "yellow")] if cancelled else []
    facts += [(f"{state.queued} queued", "dim")] if state.queued else []
    transfer = _transfer(state, now)
    wide = room >= _WIDE - 1
    facts += [*(transfer if wide else ()), (whole_seconds(int(now - state.began)), "dim")]
    text = _fitting(facts, room)
    # At least the usual width of the facts, so that the bar does not change its length all the time.
    needed = max(sum(len(part) for part, _ in text), _ALL_FACTS if wide else _FACTS)
    bar = min(_LONGEST_OVERALL, room - needed)
    parts = [(done - failed - cancelled, "green"), (failed, "red"), (cancelled, "yellow")]
    yield text[1:] if bar < _SHORTEST_BAR else _bar(glyphs, bar, total, parts) + text
    if not wide and (text := _fitting(transfer, room)):
        yield text[1:]


def _transfer(state: State, now: float) -> Line:
    """Return the bytes of the run, their rate and the time that is left, as far as they are known."""
    rate, left, done = state.rate(now), state.seconds_left(now), state.downloaded
    known, least = state.known_total, "at least " if state.size.unknown else ""
    if not (known or done):
        return []
    whole = done >= known or format_bytes(done) == format_bytes(known)
    facts = [(format_bytes(done) if whole else share(done, known, f" of {least}"), "")]
    facts += [(f"{format_bytes(rate)}/s", "dim")] if rate >= 1 else []
    return facts + ([(f"{least or 'about '}{coarse_seconds(left)} left", "")] if left else [])


def _fitting(facts: Line, room: int) -> Line:
    """Separate the facts that fit, each as a whole: the last but one goes first."""
    while facts and sum(_GAP + len(text) for text, _ in facts) - _GAP > room:
        facts.pop(-2 if len(facts) > 2 else -1)  # noqa: PLR2004 - of two, the last goes
    return [piece for fact in facts for piece in (("  ", ""), fact)]


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


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """Shorten words at their end."""
    return text if len(text) <= width else (text[: max(0, width - len(ellipsis))] + ellipsis)[: max(0, width)]


def cut_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Shorten a name in the middle: the registry is at its start; its tag, which is kept, at its end."""
    if len(text) <= width:
        return text
    keep = max(0, width - len(ellipsis))
    tag = len(text) - text.rfind(":")
    tail = min(keep, max(keep - keep // 3, tag))
    return text[: keep - tail] + ellipsis + text[len(text) - tail :]


def share(done: int, total: int, between: str) -> str:
    """Format two sizes in the unit of the second: `0.3/12.0MB`."""
    whole = format_bytes(total)
    unit = whole.lstrip("0123456789.")
    scale = 1000 ** ("B", "kB", "MB", "GB", "TB").index(unit)
    return f"{done / scale:.{0 if unit == 'B' else 1}f}{between}{whole}"


def coarse_seconds(seconds: float) -> str:
    """Format a forecast in steps that grow with it, so that it does not change all the time."""
    step = next(step for end, step in _STEPS if seconds <= end)
    return whole_seconds(math.ceil(seconds / step) * step)


def whole_seconds(seconds: int) -> str:
    """Format whole seconds, for times that are redrawn several times a second."""
    return f"{seconds}s" if seconds < _MINUTE else format_seconds(seconds)
