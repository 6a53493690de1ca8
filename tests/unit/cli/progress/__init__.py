"""The progress displays."""

from contextlib import AbstractContextManager
from typing import TextIO

from puller.cli.progress import Log, ProgressMode, follow
from puller.events import Observer


def observe(mode: ProgressMode, stream: TextIO, *, verbose: int = 0) -> AbstractContextManager[Observer]:
    """Show events on a stream."""
    return follow(Log(stream, mode, verbose=verbose))
