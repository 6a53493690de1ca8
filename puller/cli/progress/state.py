"""What the live view knows: events go in under a lock, a frozen snapshot comes out; nothing here draws."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from puller.events import (
    ENGINE,
    Event,
    Finished,
    Paused,
    Phase,
    Postponed,
    Progress,
    RetryScheduled,
    RunStarted,
    Started,
)
from puller.model import PullRequest, Status
from puller.report.words import request_name
from puller.text import clean

_WINDOW = 2.0
_SHORTEST = 0.5
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Retry:
    """A row that waits for its next attempt."""

    number: int
    seconds_left: float
    kind: str


@dataclass(frozen=True, slots=True)
class Row:
    """One image in flight."""

    name: str
    phase: Phase | None = None
    """None until the engine says something."""
    current: int = 0
    total: int = 0
    layers_done: int = 0
    layers: int = 0
    rate: float = 0.0
    """Bytes a second over the last two seconds."""
    retry: Retry | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A registry that is left alone, or an engine that is waited for."""

    subject: str
    seconds_left: float
    kind: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment."""

    rows: tuple[Row, ...]
    """In the order in which the images started."""
    total: int
    there: int
    failed: int
    cancelled: int
    fetched: int
    """Bytes, finished images included; never less than before."""
    rate: float
    elapsed: float
    widest: int
    """Columns of the longest name so far: it only grows, so that the view stands still."""
    pauses: tuple[Pause, ...] = ()

    @property
    def left(self) -> int:
        """Images that have not ended."""
        return max(0, self.total - self.there - self.failed - self.cancelled)


class Meter:
    """The rate of a growing number over the last two seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, value: int) -> None:
        """Note the number; one that shrinks begins anew."""
        if self._samples and value < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, value))

    def rate(self, now: float) -> float:
        """Give the rate at `now`; it falls to zero when nothing comes any more."""
        samples = self._samples
        while len(samples) > 1 and samples[1][0] <= now - _WINDOW:
            samples.popleft()
        if not samples:
            return 0.0
        began, first = samples[0]
        return (samples[-1][1] - first) / min(_WINDOW, max(_SHORTEST, now - began))


@dataclass(slots=True)
class _Flight:
    """The changing side of a row."""

    name: str
    progress: Progress | None = None
    retry: RetryScheduled | None = None
    retry_at: float = 0.0
    meter: Meter = field(default_factory=Meter)

    def row(self, now: float) -> Row:
        if self.retry:
            wait = max(0.0, self.retry_at - now)
            return Row(self.name, retry=Retry(self.retry.attempt, wait, self.retry.failure.kind.value))
        if self.progress is None:
            return Row(self.name)
        seen = self.progress
        rate = self.meter.rate(now)
        return Row(self.name, seen.phase, seen.current, seen.total, seen.layers_done, seen.layers, rate)


class State:
    """A run as its events tell it, safe to feed and to read from any thread."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._total = 0
        self._counts = dict.fromkeys(Status, 0)
        self._flights: dict[PullRequest, _Flight] = {}
        # The most bytes each image has shown: a new attempt counts from zero, and the sum must not run backwards.
        self._most: dict[PullRequest, int] = {}
        self._pauses: dict[str, tuple[float, str]] = {}
        self._fetched = 0
        self._meter = Meter()
        self._widest = 0

    def add(self, event: Event) -> None:
        """Take an event in."""
        with self._lock:
            now = self._clock()
            match event:
                case RunStarted():
                    self._began, self._total = now, event.total
                case Started():
                    self._pauses.pop(ENGINE, None)
                    self._take_off(event.request)
                case Progress():
                    self._progress(event, now)
                case RetryScheduled():
                    flight = self._flight(event.request)
                    flight.retry, flight.retry_at = event, now + event.delay
                case Paused():
                    self._pauses[event.subject] = (now + event.seconds, event.failure.kind.value)
                case Postponed():
                    self._flights.pop(event.request, None)
                case Finished():
                    self._flights.pop(event.request, None)
                    self._most.pop(event.request, None)
                    self._counts[event.outcome.status] += 1

    def snapshot(self) -> Snapshot:
        """Give the run as it is now."""
        with self._lock:
            now = self._clock()
            failed, cancelled = self._counts[Status.FAILED], self._counts[Status.CANCELLED]
            return Snapshot(
                rows=tuple(flight.row(now) for flight in self._flights.values()),
                total=self._total,
                there=sum(self._counts.values()) - failed - cancelled,
                failed=failed,
                cancelled=cancelled,
                fetched=self._fetched,
                rate=self._meter.rate(now),
                elapsed=now - self._began,
                widest=self._widest,
                pauses=tuple(
                    Pause(clean(subject), ends - now, kind)
                    for subject, (ends, kind) in self._pauses.items()
                    if ends > now
                ),
            )

    def _take_off(self, request: PullRequest) -> _Flight:
        """Begin a row, or begin it again in its old place for a new attempt."""
        flight = self._flights[request] = _Flight(request_name(request))
        self._widest = max(self._widest, len(flight.name))
        return flight

    def _flight(self, request: PullRequest) -> _Flight:
        return self._flights.get(request) or self._take_off(request)

    def _progress(self, event: Progress, now: float) -> None:
        flight = self._flight(event.request)
        flight.progress, flight.retry = event, None
        flight.meter.add(now, event.current)
        most = self._most.get(event.request, 0)
        if event.current > most:
            self._most[event.request] = event.current
            self._fetched += event.current - most
            self._meter.add(now, self._fetched)
