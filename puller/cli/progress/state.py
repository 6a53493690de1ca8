"""The state of the live view."""

import threading
from collections import deque
from collections.abc import Callable

from puller.events import (
    HOST_PAUSES,
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
from puller.model import PullRequest, Status
from puller.report.words import image_name
from puller.system.clock import monotonic

_WINDOW, _RUN_WINDOW = 10.0, 30.0
"""Seconds over which the rates of an image and of the run are measured."""
_SHORTEST_WINDOW = 0.5
_STILL = 15.0
"""Seconds without a byte after which there is no rate; engines report each 0.5 MB, which takes long at 40 kB/s."""
_IDLE = 3.0
"""The same while no image is downloaded."""
_SETTLED = 3.0
"""Seconds of downloading before the rate is good for a forecast."""


def phase_words(phase: Phase) -> str:
    """Return what an engine does for an image; images that have not begun are the ones that are called queued."""
    return "waiting for the engine" if phase in (Phase.QUEUED, Phase.WAITING) else phase.value


class RateMeter:
    """Measures the rate per second of an increasing number, over the last `window` seconds."""

    def __init__(self, window: float = _WINDOW) -> None:
        self._window = window
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, value: int) -> None:
        """Add a sample; the measurement restarts after a pause, and when the value is smaller than before."""
        samples = self._samples
        if samples and (value < samples[-1][1] or self.still(now)):
            samples.clear()
        if len(samples) > 1 and now - samples[-2][0] < self._window / 100:  # more samples than that change nothing
            samples.pop()
        samples.append((now, value))

    def rate(self, now: float) -> float:
        samples = self._samples
        while len(samples) > 2 and samples[1][0] <= now - self._window:  # noqa: PLR2004 - a rate needs two samples
            samples.popleft()
        if len(samples) < 2 or self.still(now):  # noqa: PLR2004 - likewise
            return 0.0
        (began, first), (ended, last) = samples[0], samples[-1]
        due = (ended - began) / (len(samples) - 1)  # until then, no sample is missing
        return (last - first) / max(_SHORTEST_WINDOW, ended - began, now - began - due)

    def still(self, now: float, seconds: float = _STILL) -> bool:
        """Tell whether the last sample came more than `seconds` ago."""
        return not self._samples or now - self._samples[-1][0] > seconds

    def settled(self, now: float) -> bool:
        return bool(self._samples) and now - self._samples[0][0] >= _SETTLED


class RunningPull:
    """A pull that runs, or waits for its next attempt."""

    def __init__(self, name: str, began: float) -> None:
        self.name = name
        self.began = began
        """When its first attempt started."""
        self.progress: Progress | None = None
        """None until the engine reports something."""
        self.retry: RetryScheduled | None = None
        """Set while the image waits for the next attempt, which starts at `retry_at` or later."""
        self.retry_at = 0.0
        self.meter = RateMeter()


class State:
    """Collects the events of a run; `lock` is held to read it."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.lock = threading.Lock()
        self.clock = clock
        self.began = clock()
        self.total = 0
        self.counts = dict.fromkeys(Status, 0)
        self.running: dict[PullRequest, RunningPull] = {}
        """In the order in which the pulls started."""
        self.pauses: dict[str, tuple[float, str]] = {}
        """Waits for a registry or for the engine: when each ends, and the failure in words."""
        self.downloaded = 0
        """Bytes fetched, also for images that have not started; never decreases."""
        self.size = SizeKnown(0)
        """The bytes of the whole run, as far as they are known."""
        self.meter = RateMeter(_RUN_WINDOW)
        self.longest_name = 0
        """Columns of the longest name so far; never decreases, so that columns keep their places."""
        # The largest number of bytes of each image: a new attempt counts from zero, and the sum must not decrease.
        self._most: dict[PullRequest, int] = {}
        self._counted = 0
        """Bytes of running and finished images."""

    def add(self, event: Event) -> None:
        with self.lock:
            now = self.clock()
            match event:
                case RunStarted():
                    self.began, self.total = now, event.total
                case Started():
                    for subject in HOST_PAUSES:
                        self.pauses.pop(subject, None)
                    self._start(event.request, now)
                case Progress():
                    self._progress(event, now)
                case RetryScheduled():
                    pull = self._pull(event.request, now)
                    pull.progress, pull.retry, pull.retry_at = None, event, now + event.delay
                case Paused():
                    self.pauses[event.subject] = (now + event.seconds, event.failure.title)
                case SizeKnown() | Fetched():
                    self._amount(event, now)
                case Postponed():
                    self.running.pop(event.request, None)
                case Finished():
                    self.running.pop(event.request, None)
                    self._most.pop(event.request, None)
                    self.counts[event.outcome.status] += 1

    @property
    def known_total(self) -> int:
        """Bytes of the whole run, or at least of most of its images; 0 before the sizes of half of them are known."""
        return self.size.total if 2 * self.size.unknown <= self.total else 0

    @property
    def done(self) -> int:
        """Images that have their final outcome."""
        return sum(self.counts.values())

    @property
    def queued(self) -> int:
        """Images that have not started, or wait for the end of the run to be tried again."""
        return max(0, self.total - self.done - len(self.running))

    def rate(self, now: float) -> float:
        """Return the bytes per second of the run; 0 while nothing is downloaded."""
        idle = not any(pull.progress and pull.progress.phase is Phase.DOWNLOADING for pull in self.running.values())
        return 0.0 if idle and self.meter.still(now, _IDLE) else self.meter.rate(now)

    def seconds_left(self, now: float) -> float | None:
        """Return how long the rest will take at the run's rate; None while that cannot be told, and for the last 1%."""
        left, rate = self.known_total - self.downloaded, self.rate(now)
        return left / rate if left > self.known_total / 100 and rate >= 1 and self.meter.settled(now) else None

    def _amount(self, event: SizeKnown | Fetched, now: float) -> None:
        if isinstance(event, SizeKnown):
            self.size = event
        else:
            self._count(event.current, now)

    def _start(self, request: PullRequest, now: float) -> RunningPull:
        """Add a row, or reset the image's row for a new attempt; it keeps its place and its time."""
        before = self.running.get(request)
        pull = self.running[request] = RunningPull(image_name(request), before.began if before else now)
        self.longest_name = max(self.longest_name, len(pull.name))
        return pull

    def _pull(self, request: PullRequest, now: float) -> RunningPull:
        return self.running.get(request) or self._start(request, now)

    def _progress(self, event: Progress, now: float) -> None:
        pull = self._pull(event.request, now)
        pull.progress, pull.retry = event, None
        pull.meter.add(now, event.counted)
        most = self._most.get(event.request, 0)
        if event.counted > most:
            self._most[event.request] = event.counted
            self._counted += event.counted - most
            self._count(self._counted, now)

    def _count(self, fetched: int, now: float) -> None:
        if fetched > self.downloaded:
            self.downloaded = fetched
            self.meter.add(now, fetched)
