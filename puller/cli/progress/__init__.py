"""Progress: observers that show a run while it runs, on stderr; stdout belongs to the report."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TextIO

from puller.cli.progress import jsonl, live, plain
from puller.cli.progress.stream import QuietStream
from puller.events import Observer, ignore


class ProgressMode(StrEnum):
    """How to show progress."""

    AUTO = "auto"
    """The live view on a terminal that a person looks at, else plain lines."""
    TTY = "tty"
    PLAIN = "plain"
    JSON = "json"
    QUIET = "quiet"


@contextmanager
def observe(mode: ProgressMode, stream: TextIO, *, verbose: int = 0) -> Iterator[Observer]:
    """Yield an observer that shows events on `stream`; on the way out the terminal is left as it was found."""
    if mode is ProgressMode.AUTO:
        mode = ProgressMode.TTY if _watched(stream) else ProgressMode.PLAIN
    quiet = QuietStream(stream)
    match mode:
        case ProgressMode.TTY:
            # rich takes longer to import than the rest of puller: only those who see it wait for it.

            with live.show(quiet) as observer:
                yield observer
        case ProgressMode.PLAIN:
            yield plain.Lines(quiet, verbose=verbose)
        case ProgressMode.JSON:
            yield jsonl.Lines(quiet)
        case _:
            yield ignore


def _watched(stream: TextIO) -> bool:
    """Say whether this is a terminal that can redraw; CI systems offer terminals that nobody watches."""
    if os.environ.get("TERM") == "dumb" or os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return False
    try:
        return stream.isatty()
    except (OSError, ValueError):
        return False
