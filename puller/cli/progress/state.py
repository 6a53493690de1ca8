"""The state of the live view."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from puller.events import HOST_PAUSES, Event, Finished, Paused, Postponed, Progress, RetryScheduled, RunStarted, Started
from puller.model import PullRequest, Status
from puller.report.words import image_name

_WINDOW = 2.0
"""Seconds over which rates are measured."""
_SHORTEST_WINDOW = 0.5


class RateMeter:
    """Measures the rate per second of an increasing number, over the last two seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, value: int) -> None:
        """Add a sample; a smaller value than the last one restarts the measurement."""
        if self._samples and value < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, value))

    def rate(self, now: float) -> float:
        samples = self._samples
        while len(samples) > 1 and samples[1][0] <= now - _WINDOW:
            samples.popleft()
        if not samples:
            return 0.0
        began, first = samples[0]
        return (samples[-1][1] - first) / min(_WINDOW, max(_SHORTEST_WINDOW, now - began))


@dataclass(slots=True)
class RunningPull:
    """A pull that runs, or waits for its next attempt."""

    name: str
    progress: Progress | None = None
    """None until the engine reports something."""
    retry: RetryScheduled | None = None
    """Set while the image waits for the next attempt, which starts at `retry_at`."""
    retry_at: float = 0.0
    meter: RateMeter = field(default_factory=RateMeter)


class State:
    """Collects the events of a run; `lock` is held to read it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lock = threading.Lock()
        self.clock = clock
        self.began = clock()
        self.total = 0
        self.counts = dict.fromkeys(Status, 0)
        self.running: dict[PullRequest, RunningPull] = {}
        """In the order in which the pulls started."""
        self.pauses: dict[str, tuple[float, str]] = {}
        """Waits for a registry or for the engine: when each ends, and the kind of failure."""
        self.downloaded = 0
        """Bytes of running and finished images; never decreases."""
        self.meter = RateMeter()
        self.longest_name = 0
        """Columns of the longest name so far; never decreases, so that columns keep their places."""
        # The largest number of bytes of each image: a new attempt counts from zero, and the sum must not decrease.
        self._most: dict[PullRequest, int] = {}

    def add(self, event: Event) -> None:
        with self.lock:
            now = self.clock()
            match event:
                case RunStarted():
                    self.began, self.total = now, event.total
                case Started():
                    for subject in HOST_PAUSES:
                        self.pauses.pop(subject, None)
                    self._start(event.request)
                case Progress():
                    self._progress(event, now)
                case RetryScheduled():
                    pull = self._pull(event.request)
                    pull.progress, pull.retry, pull.retry_at = None, event, now + event.delay
                case Paused():
                    self.pauses[event.subject] = (now + event.seconds, event.failure.kind.value)
                case Postponed():
                    self.running.pop(event.request, None)
                case Finished():
                    self.running.pop(event.request, None)
                    self._most.pop(event.request, None)
                    self.counts[event.outcome.status] += 1

    def _start(self, request: PullRequest) -> RunningPull:
        """Add a row, or reset the image's row for a new attempt; it keeps its place."""
        pull = self.running[request] = RunningPull(image_name(request))
        self.longest_name = max(self.longest_name, len(pull.name))
        return pull

    def _pull(self, request: PullRequest) -> RunningPull:
        return self.running.get(request) or self._start(request)

    def _progress(self, event: Progress, now: float) -> None:
        pull = self._pull(event.request)
        pull.progress, pull.retry = event, None
        pull.meter.add(now, event.current)
        most = self._most.get(event.request, 0)
        if event.counted > most:
            self._most[event.request] = event.counted
            self.downloaded += event.counted - most
            self.meter.add(now, self.downloaded)
