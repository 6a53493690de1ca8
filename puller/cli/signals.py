"""SIGINT and SIGTERM: the first ends the run with a report, the second ends the process."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from puller.cancellation import Cancellation, interruptible

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = "\x1b[?25h"


T = TypeVar("T")


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end; raised in the main thread, wherever that waits."""


class Signals:
    """The signal that was received, if any."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.cancellation = Cancellation()
        """The root of all cancellation in this process."""
        self._finishing = False

    @property
    def exit_code(self) -> int | None:
        """128 and the signal's number, as a shell reports it; None while no signal came."""
        return None if self.received is None else 128 + self.received

    def run(self, work: Callable[[], T]) -> T:
        """Run `work`; the first signal cancels it and raises nothing."""
        return interruptible(work, self.cancellation)

    def finish(self) -> None:
        """From now on a signal changes only the exit code: the report is being written."""
        self._finishing = True

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raise Interrupted at the first signal; at the second kill all programs and exit."""
        if self.received is not None:
            if process := sys.modules.get("puller.system.process"):  # else no program was started
                process.kill_all()
            if sys.stderr.isatty():
                os.write(2, _SHOW_CURSOR.encode())
            os._exit(128 + number)
        self.received = signal.Signals(number)
        if not self._finishing:
            raise Interrupted(f"interrupted by {self.received.name}")


@contextmanager
def handled() -> Iterator[Signals]:
    """Handle both signals in the block; the former handlers are restored after it."""
    signals = Signals()
    before = {number: signal.signal(number, signals.handle) for number in _SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
