"""The threads that download blobs; each blob is downloaded once, even if several images contain it."""

import logging
from collections.abc import Iterable
from threading import Event, Lock, Thread
from time import monotonic

from puller.blobs.download import Downloader
from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.blobs.pace import BandwidthLimit
from puller.blobs.queue import DownloadQueue
from puller.blobs.store import BlobStore
from puller.errors import FailureKind, RegistryError
from puller.image.manifest import Descriptor
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.settings import PrefetchSettings
from puller.system.threads import affordable, start

_log = logging.getLogger(__name__)
_JOIN_SECONDS = 1.0
"""How long the end of a run waits for all threads together."""


class DownloadPool:
    """Downloads blobs into a store, over a limited number of connections."""

    def __init__(self, client: RegistryClient, store: BlobStore, settings: PrefetchSettings) -> None:
        self._width = affordable(settings.connections)
        per_registry = min(settings.per_registry or self._width, self._width)
        self.queue = DownloadQueue(per_registry, store.limit, client.health, self._start_thread, self._width)
        self._closing = Event()
        bandwidth = BandwidthLimit(settings.bandwidth, self._closing.wait)
        self.downloader = Downloader(client.with_limits(), store, self.queue, bandwidth, self._closing)
        self._lock = Lock()
        self._blobs: dict[str, BlobDownload] = {}
        self._threads: list[Thread] = []

    def fetch(self, parts: Iterable[Descriptor], source: ImageReference, place: int) -> list[BlobDownload]:
        """Queue blobs in order, for the image at this place of the list."""
        found = []
        for number, part in enumerate(parts):
            with self._lock:
                blob = self._blobs.get(part.digest)
                new = blob is None or blob.failure is not None or (blob.path is not None and not blob.path.exists())
                if blob is None or new:
                    rank = (place, number, 0)
                    before = blob.fetched + blob.before if blob else 0
                    blob = BlobDownload(part.digest, part.size, source, rank, foreign=part.foreign)
                    blob.before = before
                    self._blobs[part.digest] = blob
            if new:
                self.queue.add(DownloadTask(blob.rank, blob))
                if not self._threads:
                    self.downloader.give_up(blob, RegistryError("no thread can be started", kind=FailureKind.INTERNAL))
            found.append(blob)
        return found

    @property
    def blobs(self) -> list[BlobDownload]:
        with self._lock:
            return list(self._blobs.values())

    def leave(self, registry: str, why: RegistryError) -> None:
        """Download nothing more from a registry, and fail its blobs that are not complete."""
        self.downloader.leave(registry, why)
        with self._lock:
            blobs = [each for each in self._blobs.values() if each.source.registry == registry and not each.done]
        for blob in blobs:
            self.downloader.give_up(blob, why)

    def close(self) -> None:
        """Cancel the downloads; their parts are kept for a later run."""
        self._closing.set()
        self.queue.close()
        self.downloader.close()
        for blob in list(self._blobs.values()):
            if not blob.done:
                self.downloader.give_up(blob, RegistryError("the run has ended", kind=FailureKind.CANCELLED))
        end = monotonic() + _JOIN_SECONDS
        for thread in list(self._threads):
            thread.join(max(end - monotonic(), 0.0))

    def _start_thread(self) -> None:
        """Start one more thread, within the limit."""
        if len(self._threads) < self._width and not self._closing.is_set() and (new := start(self._work, "fetch")):
            self._threads.append(new)

    def _work(self) -> None:
        while task := self.queue.take():
            try:
                if not task.blob.done:
                    self.downloader.run(task)
            except Exception as error:  # noqa: BLE001 - after a bug of ours the engine fetches the blob itself
                _log.debug("a blob cannot be fetched", exc_info=True)
                words = f"{type(error).__name__}: {error}"
                self.downloader.give_up(task.blob, RegistryError(words, kind=FailureKind.INTERNAL))
            finally:
                self.queue.done(task)
