"""A blob on its way: a sparse file that several connections fill, checked as far as it has come without a gap."""

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock

from filelock import FileLock

from puller.blobs.journal import Journal, Segment
from puller.blobs.store import BlobStore, release, try_lock
from puller.image.digest import hasher

SEGMENT = 4 << 20
"""Bytes that one connection fetches at a time: enough to forget a round trip, and few enough to share the work."""
_WORTH_A_SYNC = 1 << 20
"""Bytes; what is smaller is soon fetched again."""
_CHUNK = 1 << 20


class PartialBlob:
    """A blob that is being fetched, locked against other runs; each segment is written by one thread at a time."""

    def __init__(self, path: Path, descriptor: int, lock: FileLock, digest: str, size: int, length: int) -> None:
        """Take over an open file and its lock; raises OSError. Use `open_part`."""
        self.path = path
        self.digest = digest
        self.size = size
        self._file = descriptor
        self._file_lock = lock
        self._closed = False
        self._lock, self._reading = Lock(), Lock()
        self._check = hasher(digest)
        self._checked = 0
        self._journal = Journal(path.with_suffix(".journal"))
        starts = range(0, size, length) if size else (0,)
        self.segments = [Segment(n, start, min(start + length, size), start) for n, start in enumerate(starts)]
        self._recall(length)
        self._lacking = sum(not each.whole for each in self.segments)
        self.resumed = sum(each.at - each.start for each in self.segments)
        """Bytes that an earlier run has fetched."""

    @property
    def prefix(self) -> int:
        """Bytes that are there from the beginning on."""
        at = 0
        for each in self.segments:
            at = each.at
            if not each.whole:
                break
        return at

    def write(self, segment: Segment, data: bytes) -> bool:
        """Add bytes to a segment; False when it is none any more. Raises OSError."""
        with self._lock:  # what is closed must not be written to: its number may be another file's by now
            if self._closed or not self._has(segment):
                return False
            os.pwrite(self._file, data, segment.at)
            segment.at += len(data)
            self._journal.wrote(segment)
        return True

    def finish(self, segment: Segment) -> bool:
        """Tell whether this was the last segment, and read on with what can be checked by now; raises OSError."""
        outlives = segment.end - segment.start >= _WORTH_A_SYNC
        if outlives:
            self._sync()
        if self._reading.acquire(blocking=False):
            try:
                self._read_on()
            finally:
                self._reading.release()
        with self._lock:
            if self._closed or not self._has(segment):
                return False
            if outlives:
                segment.synced = segment.at - segment.start
                self._journal.synced(segment)
            self._lacking -= 1
            return self._lacking == 0

    def right(self) -> bool:
        """Tell whether a whole part has the digest that it should have; raises OSError."""
        with self._reading:
            self._read_on()
            return self._checked == self.size and self._check.hexdigest() == self.digest.partition(":")[2]

    def start_again(self, *, in_one: bool = False) -> None:
        """Forget what was fetched, or, with `in_one`, all but the beginning, and what follows is one segment."""
        with self._reading, self._lock:
            at = self.prefix if in_one else 0
            if in_one:
                self.segments = [Segment(0, 0, self.size, at)]
            for each in self.segments:
                each.at, each.synced = max(each.start, at) if in_one else each.start, 0
            self._lacking = sum(not each.whole for each in self.segments)
            self._check, self._checked = hasher(self.digest), 0
            self._journal.begin(self.segments, self.size, max(self.size, 1) if in_one else SEGMENT)

    def settle(self, store: BlobStore) -> Path:
        """Become a blob of the store; raises OSError."""
        path = store.settle(self.path, self.digest)
        self.close()
        self._journal.remove()
        return path

    def discard(self) -> None:
        """Remove what there is."""
        for remove in (self.path.unlink, self._journal.remove):
            with suppress(OSError):
                remove()
        self.close()

    def close(self) -> None:
        """Leave it to another run, or to another time."""
        with self._reading, self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._file)
                self._journal.close()
                release(self._file_lock)

    def _recall(self, length: int) -> None:
        """Go on where an earlier run has ended, as far as the file is as long as its journal says."""
        self._journal.recall(self.segments, self.size, length)
        there = os.fstat(self._file).st_size
        for each in self.segments:
            if each.at > there:
                each.at, each.synced = each.start, 0
        self._journal.begin(self.segments, self.size, length)

    def _sync(self) -> None:
        """Have all that was written reach the disk, without holding up who writes meanwhile."""
        with self._lock:
            if self._closed:
                return
            descriptor = os.dup(self._file)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def _has(self, segment: Segment) -> bool:
        return segment.number < len(self.segments) and self.segments[segment.number] is segment

    def _read_on(self) -> None:
        end = 0 if self._closed else self.prefix
        while self._checked < end and (chunk := os.pread(self._file, min(_CHUNK, end - self._checked), self._checked)):
            self._check.update(chunk)
            self._checked += len(chunk)


def open_part(store: BlobStore, digest: str, size: int, *, in_one: bool = False) -> PartialBlob | None:
    """Begin or resume a blob, `in_one` segment or in several; None while another run fetches it. Raises OSError."""
    path = store.parts / f"{digest.replace(':', '-')}.part"
    lock = try_lock(path.with_suffix(".lock"))
    if lock is None:
        return None
    with ExitStack() as undo:
        undo.callback(release, lock)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        undo.callback(os.close, descriptor)
        part = PartialBlob(path, descriptor, lock, digest, size, max(size, 1) if in_one else SEGMENT)
        undo.pop_all()
        return part
