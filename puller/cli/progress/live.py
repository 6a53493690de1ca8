"""The live view (rich): running pulls at the bottom of the terminal, finished images scroll up above them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from puller.cli.progress.drawing import ASCII, FRAMES_PER_SECOND, UNICODE, Glyphs, draw
from puller.cli.progress.lines import QuietStream
from puller.cli.progress.state import State
from puller.events import Event, Finished, Observer, Postponed
from puller.model import Status
from puller.report.words import STATUS_WIDTH, ending, image_name, reason, status_words

_STYLES = dict(zip(Status, ("green", "dim", "dim", "red", "yellow"), strict=True))


@contextmanager
def show(stream: QuietStream) -> Iterator[Observer]:
    """Show the run on a terminal; at the end only the lines of finished images remain."""
    console = Console(file=cast("TextIO", stream), force_terminal=True, highlight=False, markup=False, emoji=False)
    glyphs = UNICODE if stream.encoding.lower().startswith("utf") else ASCII
    state = State()
    live = Live(
        console=console,
        get_renderable=lambda: _view(state, glyphs, console),
        refresh_per_second=FRAMES_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    lock = threading.Lock()

    def observer(event: Event) -> None:
        state.add(event)
        if isinstance(event, Finished | Postponed):  # printed above the live view
            line = _finished(event, glyphs) if isinstance(event, Finished) else _postponed(event, glyphs)
            with lock:
                console.print(line, no_wrap=True, overflow="ellipsis" if glyphs is UNICODE else "crop")

    with live:
        yield observer


def _view(state: State, glyphs: Glyphs, console: Console) -> Group:
    """Draw the state for the current size of the terminal."""
    width, height = console.size
    lines = [Text.assemble(*pieces, no_wrap=True) for pieces in draw(state, glyphs, width, height)]
    for line in lines:
        line.truncate(max(1, width - 1))
    return Group(*lines)


def _postponed(event: Postponed, glyphs: Glyphs) -> Text:
    return Text.assemble(
        (f"{glyphs.retry} {'postponed':<{STATUS_WIDTH}}", "yellow"),
        f"  {image_name(event.request)}",
        (f"  will retry at the end: {reason(event.failure)}", "yellow"),
    )


def _finished(event: Finished, glyphs: Glyphs) -> Text:
    status = event.outcome.status
    style = _STYLES[status]
    return Text.assemble(
        (f"{glyphs.marks[status]} {status_words(status):<{STATUS_WIDTH}}", style),
        (f"  {image_name(event.request)}", "dim" if style == "dim" else ""),
        (f"  {ending(event.outcome)}", style if event.outcome.failure else "dim"),
    )
