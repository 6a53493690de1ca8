"""What is fetched next: in the order of the list, within each registry's limits, no further ahead than fits.

Whatever may give work wakes one thread, and who takes a task wakes the next: to wake all of them for each task costs
more processor time than the bytes do.
"""

from collections import Counter
from heapq import heappop, heappush
from threading import Condition
from time import monotonic

from puller.blobs.download_task import BlobDownload, DownloadTask


class DownloadQueue:
    """The tasks of many threads. A registry that wants to be left alone holds up no other."""

    def __init__(self, per_registry: int, ahead: int) -> None:
        """Have so many connections to any one registry, and open blobs of no more than `ahead` bytes in all.

        A blob that somebody waits for is opened all the same.
        """
        self._per_registry = per_registry
        self._ahead = ahead
        self._heaps: dict[str, list[DownloadTask]] = {}
        self._busy: Counter[str] = Counter()
        self._rests: dict[str, float] = {}
        self._opened: dict[str, int] = {}
        self._closed = False
        self._changed = Condition()

    def add(self, task: DownloadTask) -> None:
        """Put a task where its rank is."""
        with self._changed:
            heappush(self._heaps.setdefault(task.blob.source.registry, []), task)
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
                rests = [end - monotonic() for end in self._rests.values()]
                self._changed.wait(min((rest for rest in rests if rest > 0), default=None))
            return None

    def done(self, task: DownloadTask) -> None:
        """Give the connection back."""
        with self._changed:
            self._busy[task.blob.source.registry] -= 1
            self._changed.notify()

    def rest(self, registry: str, seconds: float) -> None:
        """Leave a registry alone for so long."""
        with self._changed:
            self._rests[registry] = max(self._rests.get(registry, 0.0), monotonic() + seconds)

    def hasten(self, blob: BlobDownload) -> None:
        """Open a blob however much is open: somebody waits for it."""
        with self._changed:
            blob.urgent = True
            blob.rank = (-1, *blob.rank[1:])
            if not blob.opened:  # what stands before it may be held back for ever
                heappush(self._heaps.setdefault(blob.source.registry, []), DownloadTask(blob.rank, blob))
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

    def _may(self, registry: str, task: DownloadTask) -> bool:
        if self._busy[registry] >= self._per_registry or self._rests.get(registry, 0.0) > monotonic():
            return False
        blob, opened = task.blob, sum(self._opened.values())
        fits = not opened or blob.digest in self._opened or opened + blob.size <= self._ahead
        return fits or blob.urgent
