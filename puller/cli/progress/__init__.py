"""Progress: observers that show a run on stderr while it runs. The report goes to stdout."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TextIO

from puller.cli.progress.lines import PlainLines, QuietStream, json_line, write_lines
from puller.events import Observer, ignore


class ProgressMode(StrEnum):
    """How to show progress."""

    AUTO = "auto"
    """The live view on a terminal, plain lines otherwise."""
    TTY = "tty"
    PLAIN = "plain"
    JSON = "json"
    QUIET = "quiet"


@contextmanager
def observe(mode: ProgressMode, stream: TextIO, *, verbose: int = 0) -> Iterator[Observer]:
    """Yield an observer that shows events on `stream`; the terminal is restored at the end."""
    if mode is ProgressMode.AUTO:
        mode = ProgressMode.TTY if _is_interactive(stream) else ProgressMode.PLAIN
    quiet = QuietStream(stream)
    match mode:
        case ProgressMode.TTY:
            from puller.cli.progress.live import show  # noqa: PLC0415 - it needs rich

            with show(quiet) as observer:
                yield observer
        case ProgressMode.PLAIN:
            yield write_lines(quiet, PlainLines(verbose))
        case ProgressMode.JSON:
            yield write_lines(quiet, json_line)
        case _:
            yield ignore


def _is_interactive(stream: TextIO) -> bool:
    """Tell whether this is a terminal that can redraw lines; CI systems have terminals that nobody watches."""
    if os.environ.get("TERM") == "dumb" or os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return False
    try:
        return stream.isatty()
    except (OSError, ValueError):
        return False
