"""The log of a run: lines on standard error, with the time of each, and a copy of them in a file."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr
from datetime import UTC, datetime
from enum import StrEnum
from io import TextIOBase
from threading import Lock
from typing import Any, TextIO

import click

from puller.cli.output import is_terminal
from puller.cli.progress.heartbeat import beating
from puller.cli.progress.lines import QuietStream
from puller.errors import PullerError
from puller.system import files
from puller.system.clock import monotonic
from puller.text import clean, format_seconds, timestamp

_BEFORE = "it waits for another run, for --jitter or for the engine"


class ProgressMode(StrEnum):
    """How to show progress."""

    AUTO = "auto"
    """The live view on a terminal, plain lines otherwise."""
    TTY = "tty"
    PLAIN = "plain"
    JSON = "json"
    QUIET = "quiet"


_FOR_PEOPLE = (ProgressMode.TTY, ProgressMode.PLAIN)


class Timestamps(StrEnum):
    """When plain lines begin with their time."""

    AUTO = "auto"
    """When they do not go to a terminal."""
    ALWAYS = "always"
    NEVER = "never"


class Log(TextIOBase):
    """Takes the place of standard error: puts a time before each line, and copies the lines to a file.

    Lines are written whole and in order, whatever thread they come from. If the file cannot be written any more, as on
    a full disk, a line on standard error says so, once.
    """

    def __init__(
        self,
        stream: TextIO,
        mode: ProgressMode = ProgressMode.AUTO,
        times: Timestamps = Timestamps.NEVER,
        file: int | None = None,
        *,
        verbose: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`file` is a descriptor, which the caller closes. Only plain progress has `times` on the stream."""
        automatic = ProgressMode.TTY if _is_watched(stream) else ProgressMode.PLAIN
        self.mode = automatic if mode is ProgressMode.AUTO else mode
        self.verbose = verbose
        self.stream = stream
        """Standard error itself, for a display that is not made of lines."""
        self.news: Callable[[], str] = str
        """Returns the text of the next heartbeat; empty for none."""
        self.above: Callable[[str], object] | None = None
        """Takes the lines for standard error while a display has the bottom of the terminal."""
        wanted = times is Timestamps.ALWAYS or (times is Timestamps.AUTO and not is_terminal(stream))
        self._stamped = wanted and self.mode is ProgressMode.PLAIN
        self._out, self._file, self._now, self._lock = QuietStream(stream), file, now, Lock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._out.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def tells_records(self) -> bool:
        """Whether standard error shows at once what the package logs with Python's `logging`."""
        return self.verbose > 0 and self.mode in _FOR_PEOPLE

    @property
    def has_file(self) -> bool:
        return self._file is not None

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    def write(self, text: str, /) -> int:
        """Write whole lines to standard error and to the file."""
        if not isinstance(text, str):
            raise TypeError("a log takes text")  # so that click knows that this stream is not binary
        self._write(text, shown=True)
        return len(text)

    def line(self, text: str) -> None:
        """Write a line of plain progress: to standard error only if that shows plain progress."""
        self._write(text + "\n", shown=self.mode is ProgressMode.PLAIN)

    def note(self, text: str) -> None:
        """Write a line beside the progress: to standard error only if that is read by people."""
        self._write(text + "\n", shown=self.mode in _FOR_PEOPLE)

    def record(self, text: str) -> None:
        """Write lines to the file only."""
        self._write(text + "\n", shown=False)

    def fail(self, text: str) -> None:
        """Write a line about why the run does not start: on standard error without its time, as other errors."""
        with self._lock:
            self._out.write(text + "\n")
        self.record(text)

    def command(self, text: str) -> None:
        """Write a command to a CI system, unchanged (see `puller.cli.ci`)."""
        getattr(self.stream, "command", self.stream.write)(text)

    def beat(self) -> None:
        """Write a heartbeat."""
        if text := self.news():
            self.line(text)

    def end(self) -> None:
        """Write no more heartbeats."""
        self.news = str

    def _write(self, text: str, *, shown: bool) -> None:
        with self._lock:
            stamp = timestamp(self._now())
            stamped = "".join(f"{stamp} {line}" for line in text.splitlines(keepends=True))
            if shown:
                (self.above or self._out.write)(stamped if self._stamped else text)
            if self._file is not None:
                try:
                    data = stamped.encode("utf-8", "backslashreplace")
                    while data:
                        data = data[os.write(self._file, data) :]
                except OSError as error:
                    self._file, words = None, f"puller: the log file is no longer written: {error.strerror}\n"
                    self._out.write(f"{stamp} {words}" if self._stamped else words)


@contextmanager
def open_log(options: Mapping[str, Any], stream: TextIO) -> Iterator[Log]:
    """Let a log take the place of standard error during the block, as the options of `puller pull` say.

    Raises UsageError if the log file cannot be written; if another user prevents it, the log only says so.
    """
    mode = ProgressMode.QUIET if options["quiet"] else ProgressMode(options["progress"])
    with ExitStack() as stack:
        file, verbose, began = None, options["verbose"], monotonic()
        if path := options["log_file"]:
            files.check(path)
            try:
                file = stack.enter_context(files.appending(path)).fileno()
            except OSError as error:
                click.echo(f"puller: cannot write the log file {clean(str(path))}: {error.strerror}", err=True)
        log = Log(stream, mode, Timestamps(options["log_timestamps"]), file, verbose=verbose)
        log.news = lambda: f"not started after {format_seconds(monotonic() - began)}: {_BEFORE}"
        stack.enter_context(redirect_stderr(log))
        if verbose:
            stack.enter_context(_records(log, logging.INFO if verbose == 1 else logging.DEBUG))
        stack.enter_context(beating(log.beat))
        try:
            yield log
        except (PullerError, click.ClickException) as error:
            log.record(f"puller: {error}")
            raise


@contextmanager
def _records(log: Log, level: int) -> Iterator[None]:
    """Write what the package logs with Python's `logging`, from this level on, as lines."""
    logger, handler = logging.getLogger("puller"), _Handler(log)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = f": {record.exc_info[1]}" if record.exc_info else ""
        self._log.note(f"puller: {clean(record.getMessage() + error)}")


def _is_watched(stream: TextIO) -> bool:
    """Tell whether this is a terminal that can redraw lines; CI systems have terminals that nobody watches."""
    if os.environ.get("TERM") == "dumb" or os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return False
    return is_terminal(stream)
