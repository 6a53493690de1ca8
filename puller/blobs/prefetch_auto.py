"""Automatic prefetching: the engine pulls by itself until its first moments show that the network is slow.

A thread looks at the progress that the engine reports anyway, ten times a second; nothing else is imported, opened or
asked before. docs/prefetch.md says how the decision is made. Pulls that have most of their bytes are left alone, others
are cancelled and prefetched as soon as their blobs are known.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import NamedTuple, Protocol

from puller.blobs import TEMPORARY
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, EngineWrapper, ProgressSink
from puller.errors import CancelledError, UsageError
from puller.events import Phase, Progress
from puller.model import EngineResult, PullRequest
from puller.registry.client import RegistryClient
from puller.settings import PrefetchMode, PrefetchSettings, Settings, Timeouts
from puller.system.paths import cache_home
from puller.system.threads import start
from puller.text import format_bytes

TICK = 0.1
"""Seconds between two samples."""
SAMPLES = 4
"""Intervals between samples that a decision is made from, an even number; the first begins with the first byte."""
SLOW = 40_000_000
"""Bytes a second below which the network is slow on idle processors; an engine unpacks up to twice as many."""
_BUSY_SHARE = 1 / 2
"""The share of `SLOW` that is taken off if all processors are busy, as prefetching needs some, too."""
_BOUND = 0.75
"""Minimum share of the samples in which the engine waits for the network."""
_MORE = 2
"""Connections for each one that the engine uses, without which nothing is gained."""
_WORTH, _LEAST = 3.0, 4_000_000
"""Minimum seconds that the rest takes, and its minimum bytes; starting to prefetch takes some tenths of a second. Few
bytes of small images are rather a sign of processors that have other work."""
_GROWTH = 2
"""More bytes in the second half than so many times those of the first half mean that connections are still growing."""
_GROWING = 1.5
"""Seconds for which they may."""
_NEARLY = 0.8
"""A pull with this share of its bytes is not cancelled."""


class Sample(NamedTuple):
    """The state of all pulls at a moment."""

    time: float
    received: int
    active: int
    """Layers of which something came since the last sample."""
    downloading: bool
    extracting: bool
    processors: tuple[int, int]
    """See `processor_times`."""


class NetworkMonitor:
    """Detects a slow network from the progress of all pulls; not thread-safe."""

    def __init__(self, settings: PrefetchSettings) -> None:
        self._connections = min(settings.connections, settings.per_registry or settings.connections)
        self._bandwidth = settings.bandwidth
        self._pulls: dict[PullRequest, Progress] = {}
        """Of the pulls in flight."""
        self._sizes: dict[PullRequest, float] = {}
        """See `_size`."""
        self._bytes: dict[str, int] = {}
        """By layer, which images may share."""
        self._moved: set[str] = set()
        self._received = 0
        self._began = 0.0
        self._samples: deque[Sample] = deque(maxlen=SAMPLES + 1)
        self.finding = ""
        """What was measured, in words."""

    def update(self, progress: Progress) -> None:
        """Record the progress of a pull."""
        self._pulls[progress.request] = progress
        self._sizes[progress.request] = _size(progress)
        for layer, count in progress.of_layers.items():
            known = self._bytes.get(layer, 0)
            if count > known:
                self._bytes[layer] = count
                self._received += count - known
                self._moved.add(layer)

    def ended(self, request: PullRequest) -> None:
        """Forget a pull."""
        self._pulls.pop(request, None)

    def worth_cancelling(self, request: PullRequest) -> bool:
        """Tell whether a pull has so much left that its bytes may be lost."""
        pull = self._pulls.get(request)
        if pull is None:
            return True
        nearly = pull.current >= _NEARLY * pull.total > 0 and not _waiting(pull)
        return pull.phase is not Phase.EXTRACTING and not nearly

    def sample(self, now: float, processors: tuple[int, int], waiting: int = 0) -> bool:
        """Take a sample, with the times of the processors; return True if the network is slow.

        `waiting` is the number of images whose pull has not begun.
        """
        phases = {each.phase for each in self._pulls.values()}
        active, self._moved = len(self._moved), set()
        if not self._received:
            return False
        self._began = self._began or now
        downloading, extracting = Phase.DOWNLOADING in phases, Phase.EXTRACTING in phases
        self._samples.append(Sample(now, self._received, active, downloading, extracting, processors))
        return len(self._samples) > SAMPLES and self._is_slow(waiting)

    def _is_slow(self, waiting: int) -> bool:
        first, *later = self._samples
        last = later[-1]
        rate = (last.received - first.received) / (last.time - first.time)
        worked, passed = (now - before for now, before in zip(last.processors, first.processors, strict=True))
        busy = worked / passed if passed else 0.0
        bound = sum(each.downloading and (not each.extracting or busy < _BOUND) for each in later)
        active = max(each.active for each in later)
        limit = SLOW * (1 - _BUSY_SHARE * busy)
        if self._bandwidth:
            limit = min(limit, self._bandwidth / _MORE)
        waits = last.downloading and bound >= _BOUND * SAMPLES and rate < limit
        rest = sum(self._sizes[each.request] - each.current for each in self._pulls.values())
        rest += waiting * sum(self._sizes.values()) / len(self._sizes)
        if not waits or active > self._connections // _MORE or rest < max(_LEAST, rate * _WORTH):
            return False
        half = later[SAMPLES // 2 - 1].received - first.received
        grows = last.received - first.received - half > _GROWTH * half > 0
        if grows and last.time - self._began < _GROWING:  # TCP's slow start (RFC 5681), after which it may be fast
            return False
        self.finding = f"the engine received {format_bytes(round(rate))}/s over {active or 'all'} connections"
        return True


def _waiting(pull: Progress) -> int:
    """Count the layers that the engine has not begun."""
    return pull.layers - len({*pull.of_layers, *pull.whole, *pull.present})


def _size(pull: Progress) -> float:
    """Return the bytes of an image's layers; those that the engine has not begun count as large as the others."""
    return pull.total * (1 + _waiting(pull) / max(1, len(pull.of_layers)))


def processor_times() -> tuple[int, int]:
    """Return the time that all processors have worked since the start, and all time; zeros if unknown (proc(5))."""
    with suppress(OSError, ValueError, IndexError), Path("/proc/stat").open("rb") as file:
        times = [int(each) for each in file.readline().split()[1:9]]
        return sum(times) - times[3] - times[4], sum(times)  # idle, and idle while waiting for a disk
    return 0, 0


class PrefetchingEngine(Engine, Protocol):
    """What prefetching offers to a run that begins plainly."""

    def serves(self, request: PullRequest, cancel: Cancellation) -> bool:
        """Wait until it is known whether an image is prefetched; raises CancelledError."""

    def release(self, request: PullRequest) -> None:
        """Give up an image that the engine pulls by itself."""


Begin = Callable[[Sequence[PullRequest], Cancellation], PrefetchingEngine | None]
"""Starts to prefetch images and returns the engine for them, or None if that is not possible."""


class AutoPrefetchEngine(EngineWrapper):
    """Pulls with an engine as it is, until the network turns out to be slow."""

    def __init__(
        self,
        engine: Engine,
        requests: Sequence[PullRequest],
        begin: Begin,
        settings: Settings,
        note: Callable[[str], None],
        cancel: Cancellation,
    ) -> None:
        super().__init__(engine)
        self._begin = begin
        self._note = note
        self._left = dict.fromkeys(requests)
        self._prefetching: PrefetchingEngine | None = None
        self._lock = Lock()
        self._monitor = NetworkMonitor(settings.prefetch)
        self._in_flight: dict[PullRequest, Cancellation] = {}
        self._thread: Thread | None = None
        self._over = Event()
        self._cancel = Cancellation(cancel)

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull plainly or with prefetching; a plain pull cancelled for prefetching starts again. See `Engine.pull`."""

        def watched(event: Progress) -> None:
            with self._lock:
                self._monitor.update(event)
            progress(event)

        began, own = monotonic(), Cancellation(cancel)
        with self._lock:
            prefetching = self._prefetching
            if prefetching is None:
                self._in_flight[request] = own
                if self._thread is None:
                    self._thread = start(self._watch, "monitor")
        if prefetching is None:
            try:
                return self._engine.pull(request, cancel=own, clocks=clocks, progress=watched)
            except CancelledError:
                cancel.check()
                prefetching = self._prefetching
                if prefetching is None:
                    raise
                clocks = clocks._replace(spent=clocks.spent + monotonic() - began)
            finally:
                with self._lock:
                    self._monitor.ended(request)
                    self._in_flight.pop(request, None)
                    self._left.pop(request, None)
        return prefetching.pull(request, cancel=cancel, clocks=clocks, progress=progress)

    def start(self) -> None:
        """Start to prefetch."""
        with self._lock:
            left = [each for each in self._left if self._monitor.worth_cancelling(each)]
        prefetching = self._begin(left, self._cancel)
        with self._lock:
            self._prefetching = prefetching
            in_flight = dict(self._in_flight)
        if prefetching is None:
            return
        self._note(f"puller downloads layers: {self._monitor.finding or 'an earlier run left some'}")
        for request, own in in_flight.items():
            with suppress(CancelledError):
                if prefetching.serves(request, self._cancel) and self._monitor.worth_cancelling(request):
                    own.cancel("it is prefetched")
                else:
                    prefetching.release(request)

    def finish(self) -> None:
        """Stop measuring, and starting to prefetch, if that is under way."""
        self._over.set()
        if self._prefetching is None:
            self._cancel.cancel("the run has ended")
        if self._thread:
            self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(TICK):
            with self._lock:
                waiting = len(self._left) - len(self._in_flight)
                slow = self._monitor.sample(monotonic(), processor_times(), waiting)
            if slow:
                self.start()
                return


@contextmanager
def prefetching(
    engine: Engine,
    requests: Sequence[PullRequest],
    settings: Settings,
    registries: RegistryClient,
    note: Callable[[str], None],
    cancel: Cancellation,
) -> Iterator[Engine]:
    """Return an engine that prefetches these images; `note` is called with the reason if it cannot.

    By itself (`PrefetchMode.AUTO`) it does so when the network is slow, or at once if a run that was killed left blobs.
    """
    with ExitStack() as stack:

        def begin(images: Sequence[PullRequest], end: Cancellation) -> PrefetchingEngine | None:
            from puller.blobs import prefetch_session  # noqa: PLC0415 - its web server is slow to import

            return prefetch_session.begin(stack, engine, images, settings, registries, note, end)

        if settings.prefetch.mode is PrefetchMode.ALWAYS:
            yield begin(requests, cancel) or engine
            return
        automatically = AutoPrefetchEngine(engine, requests, begin, settings, note, cancel)
        with suppress(UsageError, OSError):  # where no folder can be used, the engine pulls by itself
            if (cache_home() / "blobs" / TEMPORARY).exists():
                automatically.start()
        try:
            yield automatically
        finally:
            automatically.finish()
