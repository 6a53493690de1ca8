"""Progress as lines, for logs and for programs, and the stream that it is written to."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from puller.cli.progress.heartbeat import RunSummary
from puller.cli.progress.state import phase_words
from puller.errors import FailureKind
from puller.events import (
    Event,
    Fetched,
    Finished,
    Paused,
    Phase,
    Postponed,
    Progress,
    RetryScheduled,
    RunStarted,
    SizeKnown,
    Started,
)
from puller.failure import Failure
from puller.model import PullOutcome, PullRequest, RunDetails, Status
from puller.report.words import STATUS_WIDTH, ending, image_name, opening, reason, status_words
from puller.system.clock import monotonic
from puller.text import clean, format_bytes, format_seconds

_KEYS = ("event", "time", "id", "status", "text", "details", "current", "total", "percent")
"""Those of `docker compose --progress json`, and `event` and `time`."""
_MOST_MESSAGES = 20
"""Lines of one event that have the message of one kind of failure; those after them have only its title."""
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


def write_lines(write: Callable[[str], object], line_of: Callable[[Event], str | None]) -> Callable[[Event], None]:
    """Return an observer that writes a line for each event that has one."""
    lock = threading.Lock()

    def observer(event: Event) -> None:
        with lock:  # so that lines are in the order of their numbers
            if line := line_of(event):
                write(line)

    return observer


class PlainLines:
    """Makes a line for the start of the run, and for each image's start, waits and end.

    With `verbose`, also for later attempts, and with 2 for each phase of an attempt.
    """

    def __init__(
        self, verbose: int = 0, jobs: int = 0, details: RunDetails | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        """`jobs` is the number of concurrent pulls, 0 if unknown; the clock is one of seconds."""
        self._verbose, self._jobs, self._details = verbose, jobs, details
        self._run = RunSummary(clock, details)
        self._phases: dict[PullRequest, Phase] = {}
        self._pauses: dict[str, Failure] = {}
        self._told = Counter[tuple[type[Event], FailureKind]]()

    def heartbeat(self) -> str:
        """Return a line about the moment: what is in flight, the bytes, and what the run waits for."""
        return f"{self._counter()} {self._run.moment()}"

    def end(self) -> str:
        """Return a line about the whole run."""
        return f"{self._counter()} {self._run.end()}"

    def __call__(self, event: Event) -> str | None:  # noqa: PLR0911 - one line for each event
        self._run.add(event)
        match event:
            case RunStarted():
                return opening(event.total, event.engine, self._jobs, self._details)
            case Started():
                self._phases.pop(event.request, None)
                return self._started(event)
            case Progress():
                return self._phase(event) if self._verbose > 1 else None
            case SizeKnown() | Fetched():
                return None
            case RetryScheduled():
                wait, paused = format_seconds(event.delay), self._pauses.get(event.request.reference.registry)
                told = paused is not None and paused.message == event.failure.message
                why = event.failure.named if told else self._reason(event, event.failure)
                return f"retry in {wait}  {image_name(event.request)}  attempt {event.attempt}: {why}"
            case Paused():
                wait, self._pauses[event.subject] = format_seconds(event.seconds), event.failure
                return f"paused for {wait}  {clean(event.subject)}  {reason(event.failure)}"
            case Postponed():
                return f"will retry at the end  {image_name(event.request)}  {self._reason(event, event.failure)}"
            case Finished():
                return self._finished(event)

    def _reason(self, event: Event, failure: Failure) -> str:
        self._told[key := (type(event), failure.kind)] += 1
        return reason(failure) if self._told[key] <= _MOST_MESSAGES else failure.named

    def _started(self, event: Started) -> str | None:
        attempt = f"  attempt {event.attempt}" if event.attempt > 1 else ""
        mirror = f"  from {clean(event.mirror)}" if event.mirror and self._verbose else ""
        line = f"{self._counter()} {'starts':<{STATUS_WIDTH}}  {image_name(event.request)}{attempt}{mirror}"
        return line if not attempt or self._verbose else None

    def _phase(self, event: Progress) -> str | None:
        if self._phases.get(event.request) is event.phase:
            return None
        self._phases[event.request] = event.phase
        return f"{self._counter()} {phase_words(event.phase):<{STATUS_WIDTH}}  {image_name(event.request)}"

    def _finished(self, event: Finished) -> str:
        outcome, failed = event.outcome, event.outcome.status is Status.FAILED
        words = [
            f"{self._counter()} {status_words(outcome.status, self._details):<{STATUS_WIDTH}}",
            image_name(outcome),
            took(outcome),
        ]
        if why := outcome.failure:
            words.append(self._reason(event, why) if failed else ending(outcome))
        words += [f"warning: {clean(outcome.warning)}"] if outcome.warning else []
        if self._verbose:
            words += [outcome.digest or "", f"from {clean(outcome.mirror)}" if outcome.mirror else ""]
        return "  ".join(filter(None, words))

    def _counter(self) -> str:
        done, total = self._run.count
        return f"[{done:>{len(total)}}/{total}]"


def took(outcome: PullOutcome) -> str:
    """Return what the engine fetched for an image, and the time from its first attempt to its end."""
    seconds = format_seconds(outcome.took)
    return f"{format_bytes(outcome.bytes)} in {seconds}" if outcome.bytes else seconds


def json_line(event: Event) -> str:  # noqa: PLR0911 - one object for each event
    """Return an event as a line of ASCII JSON."""
    match event:
        case RunStarted():
            return _object("run_started", "", "Working", "Pulling", event.engine, total=event.total)
        case Started():
            ident, number, mirror = _id(event.request), event.attempt, event.mirror
            return _object("started", ident, "Working", "Pulling", f"attempt {number}", attempt=number, mirror=mirror)
        case Progress():
            layers = f"{event.layers_done}/{event.layers} layers" if event.layers else ""
            ident, text, current, total = _id(event.request), event.phase.value.capitalize(), event.current, event.total
            return _object("progress", ident, "Working", text, layers, current, total, counted=event.counted)
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
        case Fetched():
            return _object("fetched", "", "Working", "Pulling", current=event.current)
        case Finished():
            outcome = event.outcome
            status, text = _STATUS.get(outcome.status, "Done"), status_words(outcome.status).capitalize()
            size = max(outcome.size, outcome.bytes) if outcome.size else None  # some bytes may have come twice
            amounts = ending(outcome), outcome.bytes, size
            more: dict[str, Any] = {"percent": 100} if size and outcome.ok else {}  # others may have brought its layers
            return _object("finished", _id(event.request), status, text, *amounts, seconds=outcome.took, **more)


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
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    values = (name, time, ident, status, text, details, current, total or None, percent)
    return json.dumps(dict(zip(_KEYS, values, strict=True)) | more)


def _id(request: PullRequest) -> str:
    """Return the same ID for every spelling of an image."""
    platform = f" ({request.platform})" if request.platform else ""
    return request.reference.canonical + platform
