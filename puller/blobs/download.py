"""Brings blobs into a store, segment by segment, and does not give up easily.

Every segment is asked for at the registry itself, and so gets a fresh redirect: no address of an object store is kept
that could expire. A registry that answers a range with everything is asked for the rest of a blob in one stream.
"""

import errno
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from threading import Event, Lock
from time import monotonic, sleep

from puller.blobs.bandwidth import BandwidthLimit
from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.blobs.partial import open_part
from puller.blobs.queue import DownloadQueue
from puller.blobs.store import BlobStore
from puller.errors import FailureKind, RegistryError
from puller.failure import failure
from puller.registry.client import RegistryClient

_TRIES = 5
"""Tries of a segment without a byte, until its blob is left to the engine."""
_BACKOFF = 0.25
"""Seconds: the wait after the first of them; it doubles."""
_PATIENCE = 60.0
"""Seconds that a registry may ask to be left alone; if it asks for more, the engine's own pull tells so."""
_OTHERS = 0.2
"""Seconds between two looks at a blob that another run is fetching."""
_SLOW, _NAP = 0.01, 0.05
"""Seconds that a read has waited when the wire is slow, and for which it is then left alone."""
_HOPELESS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}


class Downloader:
    """Carries out tasks, for many threads, and puts on the queue what follows from them."""

    def __init__(
        self, client: RegistryClient, store: BlobStore, queue: DownloadQueue, bandwidth: BandwidthLimit, closing: Event
    ) -> None:
        self._client = client
        self._store = store
        self._queue = queue
        self._bandwidth = bandwidth
        self._closing = closing
        self._lock = Lock()
        self._in_one: set[str] = set()
        """Registries that take no ranges."""
        self.broken = ""
        """Why nothing more can be stored; empty while it can."""

    def do(self, task: DownloadTask) -> None:
        """Carry one out; what cannot be had, or stored, is told by its blob."""
        try:
            if self.broken:
                task.blob.fail(self.broken)
            elif task.segment is None:
                self._open(task)
            else:
                self._fetch(task)
        except OSError as error:
            self._cannot_store(task.blob, error)

    def give_up(self, blob: BlobDownload, why: str) -> None:
        """Leave a blob to another time, and what has come of it."""
        with self._lock:
            part, blob.part = blob.part, None
        if part:
            part.close()
        blob.fail(why)

    def _open(self, task: DownloadTask) -> None:
        """Find a blob in the store, or begin to fetch it."""
        blob = task.blob
        with self._lock:
            if blob.opened:
                return
            blob.opened = True
        path = self._store.find(blob.digest, blob.size)
        if path is None:
            part = open_part(self._store, blob.digest, blob.size, in_one=blob.source.registry in self._in_one)
            if part is None:  # another run is fetching it; meanwhile there is other work
                self._closing.wait(_OTHERS)
                blob.opened = False
                place, *rest = task.rank
                self._queue.add(DownloadTask((place + 1, rest[0], rest[1]), blob))
                return
            path = self._store.find(blob.digest, blob.size)  # that run may have just finished
            if path is None:
                blob.part, blob.expected = part, blob.size - part.resumed
                self._go_on(blob)
                return
            part.discard()
        blob.settle(path)

    def _go_on(self, blob: BlobDownload) -> None:
        """Fetch what a part still lacks."""
        if blob.part is None:
            return
        lacking = [segment for segment in blob.part.segments if not segment.whole]
        for segment in lacking:
            self._queue.add(DownloadTask((*blob.rank[:2], segment.number), blob, segment))
        if not lacking:
            self._conclude(blob)

    def _fetch(self, task: DownloadTask) -> None:
        blob, segment = task.blob, task.segment
        if blob.part is None or segment is None:
            return
        part, before = blob.part, segment.at
        end = None if segment.end == blob.size else segment.end
        try:
            with self._client.blob(blob.source, blob.digest, segment.at, end, check=False) as body:
                if not body.partial and len(part.segments) > 1:
                    self._take_in_one(blob)
                    return
                for chunk in self._paced(body):
                    self._bandwidth.take(len(chunk))
                    piece = chunk[: segment.end - segment.at]
                    if self._closing.is_set() or blob.failure or not part.write(segment, piece):
                        return
                    blob.came(len(piece))
                    if len(piece) < len(chunk):
                        break
        except RegistryError as trouble:
            self._try_again(task, trouble, came=segment.at > before)
            return
        if not segment.whole:
            self._try_again(task, RegistryError("the answer is too short"), came=segment.at > before)
            return
        if part.finish(segment):
            self._conclude(blob)

    def _paced(self, body: Iterable[bytes]) -> Iterator[bytes]:
        """Let bytes gather in the kernel where the wire is slow: each look at them costs much more than they do."""
        asked = monotonic()
        for chunk in body:
            slow = monotonic() - asked > _SLOW
            yield chunk
            if slow:
                sleep(_NAP)
            asked = monotonic()

    def _take_in_one(self, blob: BlobDownload) -> None:
        """Fetch the rest of a blob in one stream: its registry takes no ranges."""
        with self._lock:
            self._in_one.add(blob.source.registry)
            if blob.part is None or len(blob.part.segments) == 1:
                return
            blob.part.start_again(in_one=True)
        self._go_on(blob)

    def _try_again(self, task: DownloadTask, trouble: RegistryError, *, came: bool) -> None:
        tries = 0 if came else task.tries + 1
        wait = _BACKOFF * 2**tries if trouble.wait is None else trouble.wait
        if self._closing.is_set():
            return
        if trouble.status in _HOPELESS or tries >= _TRIES or wait > _PATIENCE:
            self.give_up(task.blob, trouble.message)
            return
        limit = self._client.health(task.blob.source.registry).rate_limit
        if trouble.status == HTTPStatus.SERVICE_UNAVAILABLE:
            limit.extend(wait, failure(FailureKind.REGISTRY_5XX, trouble.message))
        if not limit.left:  # else the queue waits for its end, and this thread fetches from others meanwhile
            self._closing.wait(wait)
        self._queue.add(DownloadTask(task.rank, task.blob, task.segment, tries))

    def _conclude(self, blob: BlobDownload) -> None:
        """Check a part that is whole; what turns out to be wrong is fetched once more."""
        part, blob.part = blob.part, None
        if part is None:
            return
        if part.right():
            blob.settle(part.settle(self._store))
        elif blob.renewed:
            part.discard()
            blob.fail(f"{blob.source.registry} sends something else for {blob.digest}")
        else:
            blob.renewed += 1
            part.start_again()
            blob.part, blob.expected = part, blob.fetched + blob.size
            self._go_on(blob)

    def _cannot_store(self, blob: BlobDownload, error: OSError) -> None:
        """Give room back where there is none left, and store nothing more."""
        with self._lock:  # another connection that fails, too, says so when all is removed
            part, blob.part = blob.part, None
            if part:
                part.discard()
        blob.fail(f"cannot store it: {error.strerror or error}")
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            self.broken = blob.failure
