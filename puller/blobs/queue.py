"""The queue of downloads: in list order, within the limits of each registry and of the bytes that are fetched ahead.

Registries with something to download share the connections: none gets more than its share as long as others want some,
and those that have sent nothing yet get half of all connections together. Where there are more registries than
connections, the one that was asked least recently is next.

Each change wakes one thread, and a thread that takes a task wakes the next: waking all of them for each task would take
more processor time than the downloads. If no thread waits, `more` starts one.
"""

import logging
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from threading import Condition
from time import monotonic

from puller.blobs.connections import ConnectionControl
from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.registry.health import RegistryHealth

_log = logging.getLogger(__name__)


class _RegistryQueue:
    """The tasks of one registry, and what is measured there."""

    def __init__(self, ceiling: int, health: RegistryHealth) -> None:
        self.tasks: list[DownloadTask] = []
        self.limit = health.rate_limit
        self.control = ConnectionControl(ceiling)
        self.busy = self.fetching = self.received = self.responses = self.turn = 0
        self.delay = 0.0
        """Seconds until the first byte of a response, recently."""

    @property
    def free(self) -> bool:
        return self.busy < self.control.wanted and not self.limit.left


class DownloadQueue:
    """A thread-safe queue of tasks; a registry with a rate limit does not delay the others."""

    def __init__(
        self,
        per_registry: int,
        ahead: int,
        health: Callable[[str], RegistryHealth],
        more: Callable[[], None] = lambda: None,
        total: int | None = None,
    ) -> None:
        """Allow up to `per_registry` connections to one registry, and open blobs of up to `ahead` bytes in all.

        `total` is the number of connections to all registries, and as many threads take tasks; None means no limit.

        A blob that the engine is waiting for is opened regardless of `ahead`. `more` is called, under the queue's lock,
        when a task can start and no thread waits for it, and for the first task.
        """
        self._per_registry = per_registry
        self._ahead = ahead
        self._health = health
        self._more = more
        self._total = total
        self._turns = 0
        self._registries: dict[str, _RegistryQueue] = {}
        self._opened: dict[str, int] = {}
        self._opened_bytes = 0
        self._waiting, self._started = 0, False
        self._closed = False
        self._changed = Condition()

    def add(self, task: DownloadTask) -> None:
        with self._changed:
            self._push(task)
            self._wake()

    def take(self) -> DownloadTask | None:
        """Wait for the next task; None after `close`. The caller must call `done`."""
        with self._changed:
            while not self._closed:
                if registry := self._next():
                    task = heappop(registry.tasks)
                    registry.busy += 1
                    registry.fetching += task.segment is not None
                    self._turns += 1
                    registry.turn = self._turns
                    self._open(task.blob)
                    if any(each.tasks for each in self._registries.values()):
                        self._wake()
                    return task
                limited = [each.limit.left for each in self._registries.values()]
                self._waiting += 1
                self._changed.wait(min((left for left in limited if left), default=None))
                self._waiting -= 1
            return None

    def done(self, task: DownloadTask) -> None:
        with self._changed:
            registry = self._of(task)
            registry.busy -= 1
            registry.fetching -= task.segment is not None
            self._wake()

    def received(self, task: DownloadTask, count: int, delay: float | None = None) -> None:
        """Count bytes of a task; `delay` is how many seconds it waited for the first of them."""
        with self._changed:
            registry = self._of(task)
            registry.received += count
            if delay is not None:
                registry.responses += 1
                registry.delay = delay if not registry.delay else (3 * registry.delay + delay) / 4
            before = registry.control.wanted
            counts = registry.received, registry.busy, registry.delay, registry.responses
            wanted = registry.control.update(monotonic(), *counts)
            if wanted != before:
                _log.debug("%s: %d connections instead of %d", task.blob.source.registry, wanted, before)
                self._wake()

    def refused(self, task: DownloadTask, *, reset: bool) -> None:
        """Use fewer connections to a registry that refuses requests, or resets connections."""
        with self._changed:
            registry = self._of(task)
            wanted = registry.control.refused(monotonic(), registry.busy, reset=reset)
            _log.debug("%s: %d connections after a refusal", task.blob.source.registry, wanted)

    def prioritize(self, blob: BlobDownload) -> None:
        """Move a blob to the front, because the engine is waiting for it."""
        if blob.urgent or blob.done:
            return
        with self._changed:
            blob.urgent = True
            blob.rank = (-1, *blob.rank[1:])
            if not blob.opened:  # its own task may be behind one that is too large to be fetched ahead
                self._push(DownloadTask(blob.rank, blob))
            self._wake()

    def forget(self, digests: Iterable[str]) -> None:
        """Do not count these blobs as fetched ahead any more: the engine has them, or nobody needs them."""
        with self._changed:
            self._opened_bytes -= sum(self._opened.pop(digest, 0) for digest in digests)
            self._wake()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _of(self, task: DownloadTask) -> _RegistryQueue:
        return self._registries[task.blob.source.registry]

    def _push(self, task: DownloadTask) -> None:
        name = task.blob.source.registry
        if name not in self._registries:
            self._registries[name] = _RegistryQueue(self._per_registry, self._health(name))
        heappush(self._registries[name].tasks, task)

    def _open(self, blob: BlobDownload) -> None:
        if not blob.done and blob.digest not in self._opened:
            self._opened[blob.digest] = blob.size
            self._opened_bytes += blob.size

    def _next(self) -> _RegistryQueue | None:
        """Return the registry whose first task is the next one that can start."""
        ready = [each for each in self._registries.values() if each.tasks and each.free and self._fits(each.tasks[0])]
        if self._total is None or len(self._registries) == 1:
            return min(ready, key=lambda each: each.tasks[0], default=None)
        want = [each for each in self._registries.values() if each.busy or each in ready]
        share, silent = max(1, self._total // max(1, len(want))), [each for each in want if not each.received]
        if len(silent) < len(want) and sum(each.busy for each in silent) >= max(1, self._total // 2):
            ready = [each for each in ready if each.received]
        ready = [each for each in ready if each.busy < share]
        if len(want) >= self._total:
            return min(ready, key=lambda each: (each.busy, each.turn), default=None)
        return min(ready, key=lambda each: each.tasks[0], default=None)

    def traffic(self, registry: str) -> tuple[int, int]:
        """Return the bytes received from a registry, and the number of connections in use.

        A thread that looks for a blob in the store uses none.
        """
        with self._changed:
            known = self._registries.get(registry)
            return (known.received, known.fetching) if known else (0, 0)

    def _fits(self, task: DownloadTask) -> bool:
        blob = task.blob
        known = blob.urgent or blob.done or not self._opened or blob.digest in self._opened
        return known or self._opened_bytes + blob.size <= self._ahead

    def _wake(self) -> None:
        if self._waiting:
            self._changed.notify()
        elif not self._closed and (not self._started or self._next()):  # one thread waits for the end of rate limits
            self._started = True
            self._more()
