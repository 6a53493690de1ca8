"""The live view: running pulls at the bottom of the terminal, finished images scroll up above them."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from textwrap import wrap
from threading import Event as Flag, Lock, RLock, current_thread, get_ident, main_thread
from typing import TextIO, cast

from rich.console import Console
from rich.text import Text

from puller.cli.progress.drawing import ASCII, FRAMES_PER_SECOND, UNICODE, Line, draw
from puller.cli.progress.lines import QuietStream
from puller.cli.progress.log import Log
from puller.cli.progress.state import State
from puller.events import Event, Finished, Observer, Postponed
from puller.failure import Failure
from puller.model import PullOutcome, PullRequest, RunDetails, Status
from puller.report.words import KEPT, STATUS_WIDTH, image_name, status_words
from puller.system.threads import start
from puller.text import clean, format_bytes, format_seconds, stop_words

_STYLES = dict(zip(Status, ("green", "dim", "dim", "red", "yellow", "cyan"), strict=True))
_LONGEST_MESSAGE = 300
_SIZE, _TIME = len("999.9MB"), len("59m59s")
_FACTS = 2 + STATUS_WIDTH + 2 + 2 + _SIZE + 2 + _TIME
"""Columns of the line of a finished image without its name."""
_GAP = 2
_INDENT = 2 + STATUS_WIDTH + _GAP
"""Columns before the rest of a line that is broken at blanks, which terminals of less than `_NARROW` do themselves."""
_NARROW, _ROOM = 3 * _INDENT, 20
"""Columns: where a line has less than `_ROOM` left, its message begins below it."""
_STEP = 8
"""Longer names move the columns of the lines below them by this much, so that it happens seldom."""


@contextmanager
def show(log: Log, details: RunDetails | None = None) -> Iterator[Observer]:
    """Show the run on the terminal of a log; at the end only its lines and those of finished images remain."""
    view = _View(QuietStream(log.stream), details)
    thread = start(view.run, "view")
    log.above = view.say
    try:
        with _suspendable(view.suspend, view.resume):
            yield view.observe
    finally:
        view.over.set()
        if thread:
            thread.join()
        view.clear()
        log.above = None
        view.end()


@contextmanager
def _suspendable(stop: Callable[[], object], go_on: Callable[[], object]) -> Iterator[None]:
    """Call `stop` before SIGTSTP stops the process in the block, and `go_on` once SIGCONT has let it go on.

    Both are called in the main thread; in any other thread, and where SIGTSTP is ignored, nothing changes.
    """
    main = current_thread() is main_thread()
    if not main or signal.getsignal(signal.SIGTSTP) is not signal.SIG_DFL:
        yield
        return

    def handle(*_: object) -> None:
        stop()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.pthread_kill(get_ident(), signal.SIGTSTP)  # this thread, so that it stops here
        if not ended:
            signal.signal(signal.SIGTSTP, handle)
            go_on()

    ended = False
    signal.signal(signal.SIGTSTP, handle)
    try:
        yield
    finally:
        ended = True
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)


class _View:
    """Redraws the bottom lines of a terminal, also after the terminal has wrapped them because it became narrower."""

    def __init__(self, stream: QuietStream, details: RunDetails | None) -> None:
        self._stream, self._details = stream, details
        self._console = Console(
            file=cast("TextIO", stream), force_terminal=True, highlight=False, markup=False, emoji=False
        )
        self._glyphs = UNICODE if stream.encoding.lower().startswith("utf") else ASCII
        self._state = State()
        self._lock = Lock()
        self._ended: list[Finished | Postponed | str] = []
        """Those without a line yet, and other lines: they are drawn with the rows, so that no image is in both."""
        self._reasons: set[str] = set()
        """Why images were cancelled: each reason is said once."""
        self._drawn: list[int] = []
        """Columns of each line that is on the screen and will be redrawn."""
        self._drawing = RLock()
        """A signal may interrupt the main thread while it draws."""
        self.over = Flag()

    def observe(self, event: Event) -> None:
        with self._lock:
            self._state.add(event)
            if isinstance(event, Finished | Postponed):
                self._ended.append(event)

    def say(self, text: str) -> None:
        """Show lines above the running pulls."""
        with self._lock:
            self._ended += text.splitlines()

    def suspend(self) -> None:
        """Leave the terminal to others."""
        self._drawing.acquire()
        self._stream.write(self._erased(self._console.size.width))
        self._drawn = []
        self._console.show_cursor()

    def resume(self) -> None:
        """Draw again, where the cursor is now."""
        self._console.show_cursor(False)  # noqa: FBT003 - rich's
        self._drawing.release()

    def run(self) -> None:
        self._console.show_cursor(False)  # noqa: FBT003 - rich's
        while not self.over.wait(1 / FRAMES_PER_SECOND):
            self._draw()

    def clear(self) -> None:
        """Leave only the lines above the running pulls."""
        self._draw(rows=False)

    def end(self) -> None:
        self.clear()
        self._console.show_cursor()

    def _draw(self, *, rows: bool = True) -> None:
        with self._drawing:
            self._redraw(rows=rows)

    def _redraw(self, *, rows: bool) -> None:
        console = self._console
        width, height = console.size
        with self._lock:
            ended, self._ended = self._ended, []
            rows = rows and self._state.total > 0 and not console.is_dumb_terminal
            lines = draw(self._state, self._glyphs, width, height) if rows else []
        texts = [Text.assemble(*pieces) for pieces in lines]
        for text in texts:
            text.truncate(max(1, width - 1))
        above = [Text.assemble(*_wrapped(pieces, width)) for event in ended for pieces in self._lines(event, width)]
        with console.capture() as capture:
            for line in above:
                console.print(line, soft_wrap=True)
            console.print(Text("\n").join(texts), soft_wrap=True, end="")
        self._stream.write(self._erased(width) + capture.get())
        self._drawn = [len(text) for text in texts]

    def _erased(self, width: int) -> str:
        """Return what erases the lines drawn, and leaves the cursor where they began.

        It erases row by row: tmux would keep the rows of a whole screen that is erased at once.
        """
        rows = sum(max(1, -(-columns // width)) for columns in self._drawn)
        return "\r\x1b[2K" + "\x1b[1A\x1b[2K" * (rows - 1) if rows else ""

    def _lines(self, event: Finished | Postponed | str, width: int) -> Iterator[Line]:
        """Return the line of an image that started, and before it the reason of its cancellation if that is new."""
        if isinstance(event, str):
            yield [(event, "dim")]
            return
        request, longest = event.request, _STEP * -(-self._state.longest_name // _STEP)
        aligned = longest + _FACTS < width
        name = image_name(request).ljust(longest if aligned else 0)
        if isinstance(event, Postponed):
            mark, style = f"{self._glyphs.retry} {'postponed':<{STATUS_WIDTH}}", "yellow"
            reason = f"  will retry at the end: {self._why(event.failure, request)}"
            yield [(mark, style), (f"  {name}", ""), (reason, style)]
            return
        outcome, status, why = event.outcome, event.outcome.status, event.outcome.failure
        words, style = status_words(status, self._details), _STYLES[status]
        mark = f"{self._glyphs.marks[status]} {words:<{STATUS_WIDTH}}"
        if why and status is Status.FAILED:
            self._reasons.add(why.message)
            kept = f"; {KEPT}" if outcome.kept else ""
            yield [(mark, style), (f"  {name}", ""), (f"  {self._why(why, request)}{kept}", style)]
            return
        if why and why.message not in self._reasons:
            self._reasons.add(why.message)
            yield [(stop_words(why.message), style)]
        if not why or outcome.attempts:
            facts = _facts(outcome, aligned=aligned)
            yield [(mark, style), (f"  {name}", "dim" if style == "dim" else ""), (f"  {facts}", "dim")]

    def _why(self, failure: Failure, request: PullRequest) -> str:
        """Return the failure in words, and its message without the name of the image and without repetitions."""
        message = clean(failure.message, _LONGEST_MESSAGE)
        reference = request.reference
        for name in (reference.canonical, reference.text):
            message = message.replace(name, self._glyphs.ellipsis) if "/" in name or ":" in name else message
        return ": ".join([failure.title, *(part for part, _ in groupby(message.split(": ")))])


def _wrapped(line: Line, width: int) -> Line:
    """Break the last part of a line at blanks, with an indent; a long word stays whole for copying."""
    *before, (text, style) = line
    begin = sum(len(part) for part, _ in before) + _GAP
    if not before or begin + len(text.strip()) < width or width < _NARROW:
        return line
    fits = begin + _ROOM < width
    rows = wrap(
        text.strip(), width - 1, initial_indent=" " * (begin if fits else _INDENT), subsequent_indent=" " * _INDENT,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    below = "\n".join(rows)
    return [*before, (below[begin - _GAP :] if fits else f"\n{below}", style)]


def _facts(outcome: PullOutcome, *, aligned: bool) -> str:
    """Return the bytes that came, the time since the first attempt, and the warning."""
    size = format_bytes(outcome.bytes) if outcome.bytes else ""
    seconds = format_seconds(outcome.took)
    facts = [size.rjust(_SIZE), seconds.rjust(_TIME)] if aligned else [*filter(None, (size, seconds))]
    return "  ".join([*facts, *([f"warning: {clean(outcome.warning)}"] if outcome.warning else [])])
