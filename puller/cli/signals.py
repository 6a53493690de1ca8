"""SIGINT, SIGTERM and SIGHUP: the first ends the run with a report, the second ends the process."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from puller.cancellation import Cancellation


class Signals:
    """The signal that was received, if any."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        """128 and the signal's number, as a shell reports it; None while no signal came."""
        self.cancellation = Cancellation()
        """The root of all cancellation in this process."""
        self._finishing = False

    def finish(self) -> None:
        """From now on a signal changes only the exit code: the report is being written."""
        self._finishing = True

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt wherever the main thread waits; at the second signal kill all programs and exit.

        A terminal that is closed sends SIGHUP more than once, by the kernel and by the shell.
        """
        if self.exit_code is not None:
            if number == signal.SIGHUP:
                return
            if process := sys.modules.get("puller.system.process"):  # else no program was started
                process.kill_all()
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h")  # shows the cursor
            os._exit(128 + number)
        self.exit_code = 128 + number
        if not self._finishing:
            raise KeyboardInterrupt(f"interrupted by {signal.Signals(number).name}")


@contextmanager
def handled() -> Iterator[Signals]:
    """Handle the signals in the block; the former handlers are restored after it.

    SIGHUP stays ignored under nohup. SIGQUIT would end puller without a report, and is ignored.
    """
    signals = Signals()
    ending = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ending.add(signal.SIGHUP)
    before = {number: signal.signal(number, signals.handle) for number in ending}
    before[signal.SIGQUIT] = signal.signal(signal.SIGQUIT, lambda *_: None)  # programs that are started get the default
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
