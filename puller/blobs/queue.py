"""What is fetched next: in the order of the list, within each registry's limits, no further ahead than fits.

Whatever may give work wakes one thread, and who takes a task wakes the next: to wake all of them for each task costs
more processor time than the bytes do.
"""

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from threading import Condition

from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.registry.health import RateLimit, RegistryHealth


class DownloadQueue:
    """The tasks of many threads. A registry that has set a rate limit holds up no other."""

    def __init__(self, per_registry: int, ahead: int, health: Callable[[str], RegistryHealth] = RegistryHealth) -> None:
        """Use so many connections to any one registry, and open blobs of no more than `ahead` bytes in all.

        A blob that somebody waits for is opened all the same. `health` tells of each registry's rate limit.
        """
        self._per_registry = per_registry
        self._ahead = ahead
        self._heaps: dict[str, list[DownloadTask]] = {}
        self._busy: Counter[str] = Counter()
        self._health = health
        self._limits: dict[str, RateLimit] = {}
        self._opened: dict[str, int] = {}
        self._closed = False
        self._changed = Condition()

    def add(self, task: DownloadTask) -> None:
        """Put a task where its rank is."""
        with self._changed:
            self._push(task)
            self._changed.notify()

    def take(self) -> DownloadTask | None:
        """Wait for the next task; None when there will be none. `done` must follow."""
        with self._changed:
            while not self._closed:
                ready = [heap for registry, heap in self._heaps.items() if heap and self._may(registry, heap[0])]
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
        """Give the connection back."""
        with self._changed:
            self._busy[task.blob.source.registry] -= 1
            self._changed.notify()

    def hasten(self, blob: BlobDownload) -> None:
        """Open a blob however much is open: somebody waits for it."""
        with self._changed:
            blob.urgent = True
            blob.rank = (-1, *blob.rank[1:])
            if not blob.opened:  # what stands before it may be held back for ever
                self._push(DownloadTask(blob.rank, blob))
            self._changed.notify()

    def forget(self, digests: set[str]) -> None:
        """Count blobs no longer: nobody needs them any more."""
        with self._changed:
            for digest in digests:
                self._opened.pop(digest, None)
            self._changed.notify()

    def close(self) -> None:
        """End all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _push(self, task: DownloadTask) -> None:
        registry = task.blob.source.registry
        if registry not in self._heaps:
            self._heaps[registry] = []
            self._limits[registry] = self._health(registry).rate_limit
        heappush(self._heaps[registry], task)

    def _may(self, registry: str, task: DownloadTask) -> bool:
        """Tell whether a task may begin now."""
        if self._busy[registry] >= self._per_registry or self._limits[registry].left:
            return False
        blob, opened = task.blob, sum(self._opened.values())
        fits = not opened or blob.digest in self._opened or opened + blob.size <= self._ahead
        return fits or blob.urgent
