"""Plain progress: log lines."""

import threading

from puller.cli.progress.stream import QuietStream
from puller.events import Event, Finished, Paused, Postponed, Progress, RetryScheduled, RunStarted, Started
from puller.report.words import STATUS_WIDTH, ending, image_name, reason, status_words
from puller.text import clean, counted, format_seconds


class Lines:
    """Writes a line for each image that ended, and for retries and pauses; with `verbose`, also for starts."""

    def __init__(self, stream: QuietStream, *, verbose: int = 0) -> None:
        self._stream = stream
        self._verbose = verbose
        self._lock = threading.Lock()
        self._total = 0
        self._done = 0

    def __call__(self, event: Event) -> None:
        with self._lock:  # so that lines are in the order of their numbers
            line = self._line(event)
            if line is not None:
                self._stream.write_line(line)

    def _line(self, event: Event) -> str | None:  # noqa: PLR0911 - one line for each event
        match event:
            case RunStarted():
                self._total = event.total
                return f"pulling {counted(event.total, 'image')} with {event.engine}" if self._verbose else None
            case Started():
                return f"start {image_name(event.request)}  attempt {event.attempt}" if self._verbose else None
            case Progress():
                return None
            case RetryScheduled():
                wait = format_seconds(event.delay)
                return f"retry in {wait}  {image_name(event.request)}  attempt {event.attempt}: {reason(event.failure)}"
            case Paused():
                wait = format_seconds(event.seconds)
                return f"paused for {wait}  {clean(event.subject)}  {reason(event.failure)}"
            case Postponed():
                return f"will retry at the end  {image_name(event.request)}  {reason(event.failure)}"
            case Finished():
                self._done += 1
                return self._finished(event)

    def _finished(self, event: Finished) -> str:
        total = str(self._total) if self._total else "?"
        counter = f"[{self._done:>{len(total)}}/{total}]"
        status = status_words(event.outcome.status).ljust(STATUS_WIDTH)
        return f"{counter} {status}  {image_name(event.request)}  {ending(event.outcome)}"
