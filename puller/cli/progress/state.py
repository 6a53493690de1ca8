"""The state of the live view: collects events under a lock and returns frozen snapshots."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from puller.events import ENGINE, Event, Finished, Paused, Postponed, Progress, RetryScheduled, RunStarted, Started
from puller.model import PullRequest, Status
from puller.report.words import image_name
from puller.text import clean

_WINDOW = 2.0
"""Seconds over which rates are measured."""
_SHORTEST_WINDOW = 0.5
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Retry:
    """The next attempt of an image."""

    number: int
    seconds_left: float
    kind: str
    """The kind of failure of the last attempt."""


@dataclass(frozen=True, slots=True)
class Row:
    """One running pull."""

    name: str
    progress: Progress | None = None
    """None until the engine reports something, and while the image waits for a retry."""
    rate: float = 0.0
    """Bytes per second."""
    retry: Retry | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait for a registry or for the engine."""

    subject: str
    seconds_left: float
    kind: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one time."""

    rows: tuple[Row, ...]
    """In the order in which the pulls started."""
    total: int
    present: int
    failed: int
    cancelled: int
    downloaded: int
    """Bytes of running and finished images; never decreases."""
    rate: float
    """Bytes per second."""
    elapsed: float
    longest_name: int
    """Columns of the longest name so far; never decreases, so that columns keep their places."""
    pauses: tuple[Pause, ...] = ()

    @property
    def left(self) -> int:
        """The number of images that have not ended."""
        return max(0, self.total - self.present - self.failed - self.cancelled)


class _RateMeter:
    """Measures the rate of an increasing number over the last two seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, value: int) -> None:
        """Add a sample; a smaller value than the last one restarts the measurement."""
        if self._samples and value < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, value))

    def rate(self, now: float) -> float:
        """Return the rate per second at the time `now`."""
        samples = self._samples
        while len(samples) > 1 and samples[1][0] <= now - _WINDOW:
            samples.popleft()
        if not samples:
            return 0.0
        began, first = samples[0]
        return (samples[-1][1] - first) / min(_WINDOW, max(_SHORTEST_WINDOW, now - began))


@dataclass(slots=True)
class _RunningPull:
    """What is known about the pull of a row."""

    name: str
    progress: Progress | None = None
    retry: RetryScheduled | None = None
    retry_at: float = 0.0
    meter: _RateMeter = field(default_factory=_RateMeter)

    def row(self, now: float) -> Row:
        if self.retry:
            wait = max(0.0, self.retry_at - now)
            return Row(self.name, retry=Retry(self.retry.attempt, wait, self.retry.failure.kind.value))
        return Row(self.name, self.progress, self.meter.rate(now))


class State:
    """Collects the events of a run; thread-safe."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._total = 0
        self._counts = dict.fromkeys(Status, 0)
        self._running: dict[PullRequest, _RunningPull] = {}
        # The largest number of bytes of each image: a new attempt counts from zero, and the sum must not decrease.
        self._most: dict[PullRequest, int] = {}
        self._pauses: dict[str, tuple[float, str]] = {}
        self._downloaded = 0
        self._meter = _RateMeter()
        self._longest_name = 0

    def add(self, event: Event) -> None:
        with self._lock:
            now = self._clock()
            match event:
                case RunStarted():
                    self._began, self._total = now, event.total
                case Started():
                    self._pauses.pop(ENGINE, None)
                    self._start(event.request)
                case Progress():
                    self._progress(event, now)
                case RetryScheduled():
                    pull = self._pull(event.request)
                    pull.retry, pull.retry_at = event, now + event.delay
                case Paused():
                    self._pauses[event.subject] = (now + event.seconds, event.failure.kind.value)
                case Postponed():
                    self._running.pop(event.request, None)
                case Finished():
                    self._running.pop(event.request, None)
                    self._most.pop(event.request, None)
                    self._counts[event.outcome.status] += 1

    def snapshot(self) -> Snapshot:
        with self._lock:
            now = self._clock()
            failed, cancelled = self._counts[Status.FAILED], self._counts[Status.CANCELLED]
            return Snapshot(
                rows=tuple(pull.row(now) for pull in self._running.values()),
                total=self._total,
                present=sum(self._counts.values()) - failed - cancelled,
                failed=failed,
                cancelled=cancelled,
                downloaded=self._downloaded,
                rate=self._meter.rate(now),
                elapsed=now - self._began,
                longest_name=self._longest_name,
                pauses=tuple(
                    Pause(clean(subject), ends - now, kind)
                    for subject, (ends, kind) in self._pauses.items()
                    if ends > now
                ),
            )

    def _start(self, request: PullRequest) -> _RunningPull:
        """Add a row, or reset the image's row for a new attempt; it keeps its place."""
        pull = self._running[request] = _RunningPull(image_name(request))
        self._longest_name = max(self._longest_name, len(pull.name))
        return pull

    def _pull(self, request: PullRequest) -> _RunningPull:
        return self._running.get(request) or self._start(request)

    def _progress(self, event: Progress, now: float) -> None:
        pull = self._pull(event.request)
        pull.progress, pull.retry = event, None
        pull.meter.add(now, event.current)
        most = self._most.get(event.request, 0)
        if event.current > most:
            self._most[event.request] = event.current
            self._downloaded += event.current - most
            self._meter.add(now, self._downloaded)
