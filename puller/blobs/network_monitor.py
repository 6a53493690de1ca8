"""Whether the network is the bottleneck of the engine's pulls, from the progress that the engine reports anyway.

docs/prefetch.md says how that is decided.
"""

from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from puller.events import Phase, Progress
from puller.model import PullRequest
from puller.settings import PrefetchSettings
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
"""More bytes in the second half than this many times those of the first mean that connections are still growing."""
_GROWING = 1.5
"""Seconds for which they may."""
_CRAWL, _CRAWLING = SLOW / 4, 1.5
"""Bytes a second that no engine unpacks so slowly, and the seconds after which they are a sign of the network, whatever
the processors do: other programs may keep them busy all the time."""
_DIP = 1.5
"""Seconds for which the network must be slow if all processors are busy, in proportion: an engine that waits for them
receives little now and then, also from a fast network."""
_MEMORY = 20
"""Samples from which the bytes a second of one registry are measured."""
_NEARLY = 0.8
"""A pull with this share of its bytes is not cancelled."""
SOON = 1.5
"""Neither is one that will have all of its bytes in this many seconds."""
BEFORE_TRIAL = 3.0
"""The same before a trial of the registry, which takes some time itself."""


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
        self._crawls_since: float | None = None
        """When the bytes a second fell below `_CRAWL`; None while they are above."""
        self._slow_since: float | None = None
        """Likewise for all that is a sign of a slow network."""
        self._rate = 0.0
        """Bytes a second, of all pulls together."""
        self._samples: deque[Sample] = deque(maxlen=SAMPLES + 1)
        self._of_registries: Counter[str] = Counter()
        """Bytes by registry, and the last samples of that."""
        self._history: deque[tuple[float, Counter[str]]] = deque(maxlen=_MEMORY)
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
                self._of_registries[progress.request.reference.registry] += count - known
                self._moved.add(layer)

    def received(self, registry: str) -> int:
        """Return the bytes that the engine has received from a registry."""
        return self._of_registries[registry]

    def rate(self, registry: str) -> float:
        """Return the bytes a second that the engine has received from a registry.

        It is the less of what the decision was made from and of a longer time: a network may have become slow, and an
        engine may tell its bytes by the megabyte.
        """
        known = [(moment, counts[registry]) for moment, counts in self._history if counts[registry]]
        now, received = known[-1] if known else (0.0, 0)
        before = [known[-min(len(known), count)] for count in (SAMPLES + 1, _MEMORY)] if len(known) > 1 else []
        return min(((received - count) / (now - moment) for moment, count in before), default=0.0)

    @property
    def connections(self) -> int:
        """The connections over which the engine has received bytes lately."""
        return max((each.active for each in self._samples), default=0)

    def ended(self, request: PullRequest) -> None:
        """Forget a pull."""
        self._pulls.pop(request, None)

    def worth_cancelling(self, request: PullRequest, seconds: float = SOON) -> bool:
        """Tell whether a pull has so much left, for at least `seconds`, that its bytes may be lost."""
        pull = self._pulls.get(request)
        if pull is None:
            return True
        nearly = pull.current >= _NEARLY * pull.total > 0 and not _waiting(pull)
        share = self._rate / max(1, sum(each.phase is Phase.DOWNLOADING for each in self._pulls.values()))
        soon = pull.total > 0 and _size(pull) - pull.current < share * seconds
        return pull.phase is not Phase.EXTRACTING and not nearly and not soon

    def sample(self, now: float, processors: tuple[int, int], waiting: int = 0) -> bool:
        """Take a sample, with the times of the processors; return True if the network is slow.

        `waiting` is the number of images whose pull has not begun.
        """
        phases = {each.phase for each in self._pulls.values()}
        active, self._moved = len(self._moved), set()
        if not self._received:
            return False
        self._history.append((now, self._of_registries.copy()))
        self._began = self._began or now
        downloading, extracting = Phase.DOWNLOADING in phases, Phase.EXTRACTING in phases
        self._samples.append(Sample(now, self._received, active, downloading, extracting, processors))
        return len(self._samples) > SAMPLES and self._is_slow(waiting)

    def _is_slow(self, waiting: int) -> bool:
        first, *later = self._samples
        last = later[-1]
        rate = (last.received - first.received) / (last.time - first.time)
        self._rate = rate
        worked, passed = (now - before for now, before in zip(last.processors, first.processors, strict=True))
        busy = worked / passed if passed else 0.0
        bound = sum(each.downloading and (not each.extracting or busy < _BOUND) for each in later)
        crawls = last.downloading and rate < _CRAWL
        self._crawls_since = (self._crawls_since or first.time) if crawls else None
        crawling = self._crawls_since is not None and last.time - self._crawls_since >= _CRAWLING
        active = max(each.active for each in later)
        limit = SLOW * (1 - _BUSY_SHARE * busy)
        if self._bandwidth:
            limit = min(limit, self._bandwidth / _MORE)
        slow = last.downloading and (crawling or bound >= _BOUND * SAMPLES) and rate < limit
        self._slow_since = (self._slow_since or first.time) if slow else None
        waits = crawling or (self._slow_since is not None and last.time - self._slow_since >= _DIP * busy - TICK / 2)
        rest = sum(self._sizes[each.request] - each.current for each in self._pulls.values())
        rest += waiting * sum(self._sizes.values()) / len(self._sizes)
        if not (slow and waits) or active > self._connections // _MORE or rest < max(_LEAST, rate * _WORTH):
            return False
        half = later[SAMPLES // 2 - 1].received - first.received
        grows = last.received - first.received - half > _GROWTH * half > 0
        if grows and last.time - self._began < _GROWING:  # TCP's slow start (RFC 5681), after which it may be fast
            return False
        self.finding = f"slow network ({format_bytes(round(rate))}/s)"
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
