"""Downloads of blobs into a store, segment by segment, with retries.

Every segment is requested from the registry itself and gets a new redirect, because the URLs of object stores expire.
If a registry ignores ranges, the rest of the blob is fetched as one stream.
"""

import errno
from collections import Counter
from http import HTTPStatus
from threading import Event, Lock
from time import monotonic

from puller.blobs.download_task import BlobDownload, DownloadTask
from puller.blobs.journal import Segment
from puller.blobs.pace import BandwidthLimit, pieces
from puller.blobs.partial import PartialBlob, open_part, seconds_idle
from puller.blobs.queue import DownloadQueue
from puller.blobs.store import BlobStore
from puller.errors import FailureKind, RegistryError
from puller.failure import failure
from puller.registry.blob import Blob
from puller.registry.client import RegistryClient
from puller.text import format_bytes

_TRIES = 5
"""Tries of a segment without progress; after that the engine fetches the blob itself."""
_BACKOFF = 0.25
"""Seconds to wait after the first of them; the wait doubles."""
_MAX_WAIT = 60.0
"""Longest rate limit or stall of another run to wait for, in seconds; with a longer one the blob fails."""
_LOCKED_INTERVAL = 0.2
"""Seconds between two checks of a blob that another run is fetching."""
_PROGRESS = 16 << 10
"""Bytes after which a try counts as successful."""
_TOO_SHORT = RegistryError("the response is too short", kind=FailureKind.UNEXPECTED_EOF)
_STORAGE_KINDS = {
    errno.ENOSPC: FailureKind.DISK_FULL,
    errno.EDQUOT: FailureKind.DISK_FULL,
    errno.EROFS: FailureKind.READ_ONLY_FS,
}
"""Errors after which nothing more can be stored."""
_REFUSED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_NO_RANGE = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
_PERMANENT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}


class Downloader:
    """Executes the tasks of a queue, for many threads, and adds the tasks that follow from them."""

    def __init__(
        self, client: RegistryClient, store: BlobStore, queue: DownloadQueue, bandwidth: BandwidthLimit, closing: Event
    ) -> None:
        self._client = client
        self._store = store
        self._queue = queue
        self._bandwidth = bandwidth
        self._closing = closing
        self._lock = Lock()
        self._without_ranges: set[str] = set()
        """Registries that ignore ranges."""
        self._clients: dict[str, RegistryClient] = {}
        """By registry, so that the requests to one can be broken off."""
        self._left: dict[str, RegistryError] = {}
        """Registries that are not asked any more, and why."""
        self.errors: Counter[str] = Counter()
        """Failed tries by registry; nothing that is due to this machine, or to what a manifest says of a blob."""
        self.wrong: Counter[str] = Counter()
        """By registry, how often a complete blob had a wrong digest."""
        self.verifying: Counter[str] = Counter()
        """By registry, the tasks that look at a digest and need no connection."""
        self.broken: RegistryError | None = None
        """Why the store is unusable, for example a full disk."""

    def run(self, task: DownloadTask) -> None:
        """Execute a task; a failure is recorded in its blob."""
        try:
            if why := self.broken or self._left.get(task.blob.source.registry):
                self.give_up(task.blob, why)
            elif task.segment is None:
                self._open(task)
            else:
                self._fetch(task)
        except OSError as error:
            self._storage_failed(task.blob, error)

    def leave(self, registry: str, why: RegistryError) -> None:
        """Break off the requests to a registry, and make no more."""
        with self._lock:
            self._left[registry] = why
            client = self._clients.get(registry)
        if client:
            client.close()

    def close(self) -> None:
        """Break off all requests."""
        with self._lock:
            clients = list(self._clients.values())
        for client in (self._client, *clients):
            client.close()

    def give_up(self, blob: BlobDownload, why: RegistryError) -> None:
        """Fail a blob, and keep the part that was fetched for a later run."""
        with self._lock:
            part, blob.part = blob.part, None
        if part:
            part.close()
        self._queue.forget({blob.digest})
        blob.fail(why)

    def _open(self, task: DownloadTask) -> None:
        """Find a blob in the store, or start to fetch it."""
        blob = task.blob
        with self._lock:
            if blob.opened:
                return
            blob.opened = True
        path = self._store.find(blob.digest, blob.size)
        if path is None:
            part = open_part(self._store, blob.digest, blob.size, single=blob.source.registry in self._without_ranges)
            if part is None:  # another run is fetching it: check again after the tasks of the same rank
                if seconds_idle(self._store, blob.digest) > _MAX_WAIT:
                    words = "another run fetches it, and makes no progress"
                    self.give_up(blob, RegistryError(words, kind=FailureKind.STALLED))
                    return
                self._closing.wait(_LOCKED_INTERVAL)
                blob.opened = False
                place, *rest = task.rank
                self._queue.add(DownloadTask((place + 1, rest[0], rest[1]), blob))
                return
            path = self._store.find(blob.digest, blob.size)  # another run may have completed it meanwhile
            if path is None and (small := self._too_small(blob.size, part.resumed)):
                part.discard()
                words = f"{blob.digest} has {format_bytes(blob.size)}, larger than {small}"
                self.give_up(blob, RegistryError(words, kind=FailureKind.TOO_LARGE))
                return
            if path is None:
                blob.part, blob.expected = part, blob.size - part.resumed
                self._queue_segments(blob)
                return
            part.discard()
        blob.complete(path)

    def _too_small(self, size: int, resumed: int) -> str:
        """Name what a blob of this size does not fit into; its size is a claim of the registry."""
        if size > self._store.limit:
            return f"the cache, which may have {format_bytes(self._store.limit)}"
        return "the free disk space" if size - resumed > self._store.free else ""

    def _queue_segments(self, blob: BlobDownload) -> None:
        if blob.part is None:
            return
        missing = [segment for segment in blob.part.segments if not segment.whole]
        for segment in missing:
            self._queue.add(DownloadTask((*blob.rank[:2], segment.number), blob, segment))
        if not missing:
            self._verify(blob)

    def _fetch(self, task: DownloadTask) -> None:
        blob, segment = task.blob, task.segment
        if blob.part is None or segment is None:
            return
        part, before, client = blob.part, segment.at, self._of(blob.source.registry)
        end, began = None if segment.end == blob.size else segment.end, monotonic()
        try:
            with client.blob(blob.source, blob.digest, segment.at, end, check=False) as body:
                if not self._receive(task, part, segment, body, began):
                    return
        except RegistryError as error:
            self._retry(task, error, progress=segment.at - before >= _PROGRESS)
            return
        if not segment.whole:
            self._retry(task, _TOO_SHORT, progress=segment.at - before >= _PROGRESS)
        elif part.finish(segment):
            self._verify(blob)

    def _receive(self, task: DownloadTask, part: PartialBlob, segment: Segment, body: Blob, began: float) -> bool:
        """Store a response; False if it is of no use, or of no more use. `began` is when it was requested."""
        blob, first = task.blob, True
        if body.partial and body.size is not None and body.size < blob.size:
            self._too_short(blob)
            return False
        if not body.partial and len(part.segments) > 1:
            self._fetch_as_stream(blob)
            return False
        for piece in pieces(body, segment.end - segment.at):
            size, delay, first = sum(map(len, piece)), monotonic() - began if first else None, False
            self._bandwidth.take(size)
            self._queue.received(task, size, delay)
            if self._closing.is_set() or blob.failure or not part.write(segment, piece):
                blob.wasted(size)
                return False
            blob.received(size)
        ended = bool(task.tries) if body.size is None else body.size < blob.size
        if ended and not body.partial and not segment.whole:
            self._too_short(blob)
            return False
        return True

    def _of(self, registry: str) -> RegistryClient:
        with self._lock:
            if registry not in self._clients:
                self._clients[registry] = self._client.with_limits()
                if registry in self._left:
                    self._clients[registry].close()
            return self._clients[registry]

    def _too_short(self, blob: BlobDownload) -> None:
        """Give up a blob that has fewer bytes than its manifest says: all of them together would not be enough."""
        words = f"{blob.source.registry}: {blob.digest} is shorter than its manifest says"
        self.give_up(blob, RegistryError(words, kind=FailureKind.UNEXPECTED_EOF))

    def _fetch_as_stream(self, blob: BlobDownload) -> None:
        """Fetch the rest of a blob as one stream, because its registry ignores ranges."""
        with self._lock:
            self._without_ranges.add(blob.source.registry)
            if blob.part is None or len(blob.part.segments) == 1:
                return
            blob.part.restart(single=True)
        self._queue_segments(blob)

    def _retry(self, task: DownloadTask, error: RegistryError, *, progress: bool) -> None:
        if error.status == HTTPStatus.NOT_FOUND:
            words = f"{error.message}: a foreign layer, which its publisher distributes" if task.blob.foreign else ""
            error = RegistryError(words or error.message, kind=FailureKind.BLOB_UNKNOWN, status=error.status)
        tries = 0 if progress else task.tries + 1
        wait = _BACKOFF * 2**tries if error.wait is None else error.wait
        if self._closing.is_set() or task.blob.failure:
            return
        if error.status == _NO_RANGE:
            self._too_short(task.blob)
            return
        self.errors[task.blob.source.registry] += 1
        if why := self._left.get(task.blob.source.registry):
            error = why
        if why or error.status in _PERMANENT or tries >= _TRIES or wait > _MAX_WAIT:
            self.give_up(task.blob, error)
            return
        reset = error.unanswered and not error.timed_out
        if error.status in _REFUSED or reset:
            self._queue.refused(task, reset=reset)
        limit = self._client.health(task.blob.source.registry).rate_limit
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            limit.extend(wait, failure(FailureKind.REGISTRY_5XX, error.message))
        if not limit.left:  # else the queue waits for the limit to end, and this thread is free
            self._closing.wait(wait)
        self._queue.add(DownloadTask(task.rank, task.blob, task.segment, tries))

    def _verify(self, blob: BlobDownload) -> None:
        """Check the digest of a complete part; a wrong part is fetched once more."""
        part, blob.part = blob.part, None
        if part is None:
            return
        if self._is_valid(blob, part):
            blob.complete(part.move_to(self._store))
            return
        self.wrong[blob.source.registry] += 1
        if blob.restarts:
            part.discard()
            words = f"{blob.source.registry} sends wrong content for {blob.digest}"
            blob.fail(RegistryError(words, kind=FailureKind.DIGEST_MISMATCH))
        else:
            blob.restarts += 1
            part.restart()
            blob.part, blob.expected = part, blob.fetched + blob.size
            self._queue_segments(blob)

    def _is_valid(self, blob: BlobDownload, part: PartialBlob) -> bool:
        registry = blob.source.registry
        with self._lock:
            self.verifying[registry] += 1
        try:
            return part.is_valid()
        finally:
            with self._lock:
                self.verifying[registry] -= 1

    def _storage_failed(self, blob: BlobDownload, error: OSError) -> None:
        """Remove the part to free disk space; after a permanent error store nothing more."""
        with self._lock:  # so that a second failing connection waits until the part is removed
            part, blob.part = blob.part, None
            if part:
                part.discard()
        kind = _STORAGE_KINDS.get(error.errno or 0)
        blob.fail(RegistryError(f"cannot store it: {error.strerror or error}", kind=kind or FailureKind.IO_ERROR))
        if kind:
            self.broken = blob.failure
