"""Progress for programs: one JSON object per line, with the keys of `docker compose --progress json`."""

import json
import threading
from typing import Any

from puller.cli.progress.stream import QuietStream
from puller.events import Event, Finished, Paused, Postponed, Progress, RetryScheduled, RunStarted, Started
from puller.model import PullRequest, Status
from puller.report.words import ending, reason, status_words
from puller.text import clean, format_seconds

_STATUS = {Status.FAILED: "Error", Status.CANCELLED: "Warning"}


class Lines:
    """Writes every event as a line of ASCII JSON."""

    def __init__(self, stream: QuietStream) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        line = json.dumps(_document(event))
        with self._lock:
            self._stream.write_line(line)


def _document(event: Event) -> dict[str, Any]:  # noqa: PLR0911 - one object for each event
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
            line = _object("retry", _id(event.request), "Warning", text, reason(event.failure))
            return line | {"seconds": event.delay}
        case Paused():
            text = f"Paused for {format_seconds(event.seconds)}"
            line = _object("paused", clean(event.subject), "Warning", text, reason(event.failure))
            return line | {"seconds": event.seconds}
        case Postponed():
            return _object("postponed", _id(event.request), "Warning", "Will retry at the end", reason(event.failure))
        case Finished():
            outcome = event.outcome
            status = _STATUS.get(outcome.status, "Done")
            text = status_words(outcome.status).capitalize()
            return _object("finished", _id(event.request), status, text, ending(outcome))


def _object(
    event: str, ident: str, status: str, text: str, details: str, *, current: int = 0, total: int | None = None
) -> dict[str, Any]:
    """Return an object with all keys; `total` and `percent` are null if they are unknown."""
    percent = min(100, current * 100 // total) if total else None
    return {
        "event": event,
        "id": ident,
        "status": status,
        "text": text,
        "details": details,
        "current": current,
        "total": total,
        "percent": percent,
    }


def _id(request: PullRequest) -> str:
    """Return the same ID for every spelling of an image."""
    platform = f" ({request.platform})" if request.platform else ""
    return request.reference.canonical + platform
