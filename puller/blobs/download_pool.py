"""The threads that fetch blobs, each blob once, whoever wants it."""

import logging
from collections.abc import Iterable
from threading import Event, Lock, Thread

from puller.blobs.bandwidth import BandwidthLimit
from puller.blobs.download import Downloader
from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.blobs.partial import SEGMENT
from puller.blobs.queue import DownloadQueue
from puller.blobs.store import BlobStore
from puller.image.manifest import Descriptor as Described
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from puller.settings import PrefetchSettings

_log = logging.getLogger(__name__)


class DownloadPool:
    """Brings blobs into a store, over as many connections as are allowed."""

    def __init__(self, client: RegistryClient, store: BlobStore, settings: PrefetchSettings) -> None:
        self._client = client.with_patience()
        self._width = settings.connections
        self._queue = DownloadQueue(settings.per_registry or settings.connections, store.limit, client.health)
        self._closing = Event()
        bandwidth = BandwidthLimit(settings.bandwidth, self._closing.wait)
        self._downloader = Downloader(self._client, store, self._queue, bandwidth, self._closing)
        self._lock = Lock()
        self._blobs: dict[str, BlobDownload] = {}
        self._threads: list[Thread] = []

    @property
    def broken(self) -> str:
        """Why nothing more can be stored; empty while it can."""
        return self._downloader.broken

    def want(self, parts: Iterable[Described], source: ImageReference, place: int) -> list[BlobDownload]:
        """Have blobs fetched in their order, for the image at this place of the list."""
        found = []
        for number, part in enumerate(parts):
            with self._lock:
                blob = self._blobs.get(part.digest)
                new = blob is None or bool(blob.failure) or (blob.path is not None and not blob.path.exists())
                if blob is None or new:
                    blob = self._blobs[part.digest] = BlobDownload(part.digest, part.size, source, (place, number, 0))
                    self._employ(1 + part.size // SEGMENT)
            if new:
                self._queue.add(DownloadTask(blob.rank, blob))
            found.append(blob)
        return found

    def hasten(self, blob: BlobDownload) -> None:
        """Let a blob have its turn however far ahead the others are: somebody waits for it."""
        if not blob.urgent and not blob.done:
            self._queue.hasten(blob)

    def forget(self, digests: set[str]) -> None:
        """Take note that nobody needs these blobs any more."""
        self._queue.forget(digests)

    def close(self) -> None:
        """Break off what is under way, and leave it to another run."""
        self._closing.set()
        self._queue.close()
        self._client.close()
        for blob in list(self._blobs.values()):
            if not blob.done:
                self._downloader.give_up(blob, "the run has ended")
        for thread in self._threads:
            thread.join(1.0)

    def _employ(self, count: int) -> None:
        """Start so many threads more, as far as they are allowed."""
        for _ in range(min(count, self._width - len(self._threads))):
            if not self._closing.is_set():
                self._threads.append(Thread(target=self._work, name="fetch", daemon=True))
                self._threads[-1].start()

    def _work(self) -> None:
        while task := self._queue.take():
            try:
                if not task.blob.done:
                    self._downloader.do(task)
            except Exception as error:  # noqa: BLE001 - a fault of ours costs the blob its head start, and no more
                _log.debug("a blob cannot be fetched", exc_info=True)
                self._downloader.give_up(task.blob, f"{type(error).__name__}: {error}")
            finally:
                self._queue.done(task)
