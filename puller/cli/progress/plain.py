"""Plain progress: a line when something worth a line of a log happens."""

import threading

from puller.cli.progress.stream import QuietStream
from puller.events import Event, Finished, Paused, Postponed, Progress, RetryScheduled, RunStarted, Started
from puller.report.words import STATUS_WIDTH, ending, reason, request_name, status_words
from puller.text import clean, format_seconds


class Lines:
    """Observe a run as lines; with `verbose`, starts are told too."""

    def __init__(self, stream: QuietStream, *, verbose: int = 0) -> None:
        self._stream = stream
        self._verbose = verbose
        self._lock = threading.Lock()
        self._total = 0
        self._done = 0

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it has one; the lock keeps the counter in step with the lines."""
        with self._lock:
            line = self._line(event)
            if line is not None:
                self._stream.write_line(line)

    def _line(self, event: Event) -> str | None:  # noqa: PLR0911 - one answer for each event
        match event:
            case RunStarted():
                self._total = event.total
                noun = "image" if event.total == 1 else "images"
                return f"pulling {event.total} {noun} with {event.engine}" if self._verbose else None
            case Started():
                return f"start {request_name(event.request)}  attempt {event.attempt}" if self._verbose else None
            case Progress():
                return None
            case RetryScheduled():
                wait = format_seconds(event.delay)
                return (
                    f"retry in {wait}  {request_name(event.request)}  attempt {event.attempt}: {reason(event.failure)}"
                )
            case Paused():
                wait = format_seconds(event.seconds)
                return f"pause of {wait}  {clean(event.subject)}  {reason(event.failure)}"
            case Postponed():
                return f"once more later  {request_name(event.request)}  {reason(event.failure)}"
            case Finished():
                self._done += 1
                return self._ending(event)

    def _ending(self, event: Finished) -> str:
        total = str(self._total) if self._total else "?"
        counter = f"[{self._done:>{len(total)}}/{total}]"
        status = status_words(event.outcome.status).ljust(STATUS_WIDTH)
        return f"{counter} {status}  {request_name(event.request)}  {ending(event.outcome)}"
