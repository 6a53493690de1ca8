"""Progress: observers that show a run on stderr while it runs. The report goes to stdout."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from puller.cli.progress.lines import PlainLines, QuietStream, json_line, write_lines
from puller.cli.progress.log import Log, ProgressMode, Timestamps, open_log
from puller.events import Observer, fan_out
from puller.model import RunDetails

__all__ = ["Log", "ProgressMode", "Timestamps", "follow", "open_log"]


@contextmanager
def follow(log: Log, jobs: int = 0, details: RunDetails | None = None) -> Iterator[Observer]:
    """Yield an observer that shows events as the mode of a log says, and writes plain lines to its file.

    The terminal is restored at the end. `jobs` is the number of concurrent pulls, for the first line; `details` tell a
    load from a pull.
    """
    observers: list[Observer] = []
    with ExitStack() as stack:
        if log.mode is ProgressMode.PLAIN or log.has_file:
            lines = PlainLines(log.verbose, jobs, details)
            log.news = lines.heartbeat
            stack.callback(lambda: log.record(lines.end()))
            observers.append(write_lines(log.line, lines))
        if log.mode is ProgressMode.TTY:
            from puller.cli.progress.live import show  # noqa: PLC0415 - it needs rich

            observers.append(stack.enter_context(show(log, details)))
        elif log.mode is ProgressMode.JSON:
            stream = QuietStream(log.stream)
            observers.append(write_lines(lambda line: stream.write(f"{line}\n"), json_line))
        try:
            yield fan_out(*observers)
        finally:
            log.news = lambda: "all images have ended; the results are being written"
