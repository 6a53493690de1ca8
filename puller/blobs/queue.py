"""The queue of downloads: in list order, within the limits of each registry and of the store.

Each change wakes one thread, and a thread that takes a task wakes the next: waking all of them for each task would take
more processor time than the downloads.
"""

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from threading import Condition

from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.registry.health import RateLimit, RegistryHealth


class DownloadQueue:
    """A thread-safe queue of tasks; a registry with a rate limit does not delay the others."""

    def __init__(self, per_registry: int, budget: int, health: Callable[[str], RegistryHealth]) -> None:
        """Allow `per_registry` connections to one registry, and open blobs of up to `budget` bytes in all.

        A blob that the engine is waiting for is opened regardless of the budget.
        """
        self._per_registry = per_registry
        self._budget = budget
        self._heaps: dict[str, list[DownloadTask]] = {}
        self._busy: Counter[str] = Counter()
        self._health = health
        self._limits: dict[str, RateLimit] = {}
        self._opened: dict[str, int] = {}
        self._closed = False
        self._changed = Condition()

    def add(self, task: DownloadTask) -> None:
        with self._changed:
            self._push(task)
            self._changed.notify()

    def take(self) -> DownloadTask | None:
        """Wait for the next task; None after `close`. The caller must call `done`."""
        with self._changed:
            while not self._closed:
                ready = [heap for registry, heap in self._heaps.items() if heap and self._can_start(registry, heap[0])]
                if ready:
                    task = heappop(min(ready, key=lambda heap: heap[0]))
                    self._busy[task.blob.source.registry] += 1
                    self._opened[task.blob.digest] = task.blob.size
                    if any(self._heaps.values()):
                        self._changed.notify()
                    return task
                limited = [limit.left for limit in self._limits.values()]
                self._changed.wait(min((left for left in limited if left), default=None))
            return None

    def done(self, task: DownloadTask) -> None:
        with self._changed:
            self._busy[task.blob.source.registry] -= 1
            self._changed.notify()

    def prioritize(self, blob: BlobDownload) -> None:
        """Move a blob to the front, because the engine is waiting for it."""
        if blob.urgent or blob.done:
            return
        with self._changed:
            blob.urgent = True
            blob.rank = (-1, *blob.rank[1:])
            if not blob.opened:  # its own task may be behind one that exceeds the budget
                self._push(DownloadTask(blob.rank, blob))
            self._changed.notify()

    def forget(self, digests: set[str]) -> None:
        """Remove blobs from the budget: no image needs them."""
        with self._changed:
            for digest in digests:
                self._opened.pop(digest, None)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _push(self, task: DownloadTask) -> None:
        registry = task.blob.source.registry
        if registry not in self._heaps:
            self._heaps[registry] = []
            self._limits[registry] = self._health(registry).rate_limit
        heappush(self._heaps[registry], task)

    def _can_start(self, registry: str, task: DownloadTask) -> bool:
        if self._busy[registry] >= self._per_registry or self._limits[registry].left:
            return False
        blob, opened = task.blob, sum(self._opened.values())
        fits = not opened or blob.digest in self._opened or opened + blob.size <= self._budget
        return fits or blob.urgent
