"""Progress as lines, for logs and for programs, and the stream that it is written to."""

import json
import threading
from collections.abc import Callable
from typing import Any, TextIO

from puller.events import Event, Finished, Paused, Postponed, Progress, RetryScheduled, RunStarted, SizeKnown, Started
from puller.model import PullRequest, Status
from puller.report.words import STATUS_WIDTH, ending, image_name, reason, status_words
from puller.text import clean, counted, format_seconds

_KEYS = ("event", "id", "status", "text", "details", "current", "total", "percent")
"""Those of `docker compose --progress json`, and `event`."""
_STATUS = {Status.FAILED: "Error", Status.CANCELLED: "Warning"}


class QuietStream:
    """Wraps a text stream; after the first failed write it discards everything and raises nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = True
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        if self._open:
            try:
                self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
                self._stream.flush()
            except (OSError, ValueError):
                self._open = False
        return len(text)

    def flush(self) -> None:
        """Nothing is left to flush."""


def write_lines(stream: QuietStream, line_of: Callable[[Event], str | None]) -> Callable[[Event], None]:
    """Return an observer that writes a line for each event that has one."""
    lock = threading.Lock()

    def write(event: Event) -> None:
        with lock:  # so that lines are in the order of their numbers
            if line := line_of(event):
                stream.write(line + "\n")  # one call, so that other writers to the same terminal do not split it

    return write


class PlainLines:
    """Makes a line for each image that ended, and for retries and pauses; with `verbose`, also for starts."""

    def __init__(self, verbose: int) -> None:
        self._verbose = verbose
        self._total = 0
        self._done = 0

    def __call__(self, event: Event) -> str | None:  # noqa: PLR0911 - one line for each event
        match event:
            case RunStarted():
                self._total = event.total
                return f"pulling {counted(event.total, 'image')} with {event.engine}" if self._verbose else None
            case Started():
                return f"start {image_name(event.request)}  attempt {event.attempt}" if self._verbose else None
            case Progress() | SizeKnown():
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
                total = str(self._total) if self._total else "?"
                status = status_words(event.outcome.status).ljust(STATUS_WIDTH)
                counter = f"[{self._done:>{len(total)}}/{total}]"
                return f"{counter} {status}  {image_name(event.request)}  {ending(event.outcome)}"


def json_line(event: Event) -> str:  # noqa: PLR0911 - one object for each event
    """Return an event as a line of ASCII JSON."""
    match event:
        case RunStarted():
            return _object("run_started", "", "Working", "Pulling", event.engine, total=event.total)
        case Started():
            return _object("started", _id(event.request), "Working", "Pulling", f"attempt {event.attempt}")
        case Progress():
            layers = f"{event.layers_done}/{event.layers} layers" if event.layers else ""
            text = event.phase.value.capitalize()
            total = event.total or None
            return _object("progress", _id(event.request), "Working", text, layers, current=event.current, total=total)
        case RetryScheduled():
            text = f"Retrying in {format_seconds(event.delay)}"
            return _object("retry", _id(event.request), "Warning", text, reason(event.failure), seconds=event.delay)
        case Paused():
            text, subject = f"Paused for {format_seconds(event.seconds)}", clean(event.subject)
            return _object("paused", subject, "Warning", text, reason(event.failure), seconds=event.seconds)
        case Postponed():
            return _object("postponed", _id(event.request), "Warning", "Will retry at the end", reason(event.failure))
        case SizeKnown():
            return _object("size_known", "", "Working", "Pulling", total=event.total, unknown=event.unknown)
        case Finished():
            outcome = event.outcome
            status = _STATUS.get(outcome.status, "Done")
            text = status_words(outcome.status).capitalize()
            return _object("finished", _id(event.request), status, text, ending(outcome))


def _object(
    name: str,
    ident: str,
    status: str,
    text: str,
    details: str = "",
    current: int = 0,
    total: int | None = None,
    **more: Any,
) -> str:
    """Return an object with all keys; `total` and `percent` are null if they are unknown."""
    percent = min(100, current * 100 // total) if total else None
    values = (name, ident, status, text, details, current, total, percent)
    return json.dumps(dict(zip(_KEYS, values, strict=True)) | more)


def _id(request: PullRequest) -> str:
    """Return the same ID for every spelling of an image."""
    platform = f" ({request.platform})" if request.platform else ""
    return request.reference.canonical + platform
