"""A partly downloaded blob: a sparse file that several connections fill, hashed as far as it has no gap."""

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock
from time import time

from puller.blobs.journal import Journal, Segment
from puller.blobs.store import BlobStore, is_at
from puller.image.digest import hasher

SEGMENT = 4 << 20
"""Bytes of a segment: large compared with a round trip, and small enough to spread over connections."""
_MOST_SEGMENTS = 4096
"""Segments of a blob: its size is a claim of the registry, and must not decide how much memory is taken."""
_MIN_SYNC = 1 << 20
"""Bytes; smaller segments are not synced: they are quick to fetch again."""
_CHUNK = 1 << 20


class PartialBlob:
    """A blob being downloaded, locked against other runs; one thread at a time writes each segment."""

    def __init__(self, path: Path, descriptor: int, digest: str, size: int, length: int) -> None:
        """Own an open, locked file; raises OSError. Call `open_part` instead."""
        self.path = path
        self.digest = digest
        self.size = size
        self._file = descriptor
        self._closed = False
        self._lock, self._hashing = Lock(), Lock()
        self._hash = hasher(digest)
        self._hashed = 0
        self._journal = Journal(path.with_suffix(".journal"))
        starts = range(0, size, length) if size else (0,)
        self.segments = [Segment(n, start, min(start + length, size), start) for n, start in enumerate(starts)]
        self._length = length
        self._restore()
        self._unfinished = sum(not each.whole for each in self.segments)
        self.resumed = sum(each.at - each.start for each in self.segments)
        """Bytes fetched by an earlier run."""

    @property
    def prefix(self) -> int:
        """Bytes from the start without a gap."""
        at = 0
        for each in self.segments:
            at = each.at
            if not each.whole:
                break
        return at

    def write(self, segment: Segment, data: Sequence[bytes]) -> bool:
        """Append bytes to a segment; False if the part is closed or has other segments now. Raises OSError."""
        with self._lock:  # a closed descriptor may belong to another file by now
            if self._closed or not self._has(segment):
                return False
            written = os.pwritev(self._file, data, segment.at)
            segment.at += written
            self._journal.record_written(segment)
        if written < sum(map(len, data)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return True

    def finish(self, segment: Segment) -> bool:
        """Finish a segment, and hash what has no gap; return whether it was the last one. Raises OSError."""
        sync = segment.end - segment.start >= _MIN_SYNC
        if sync:
            self._sync()
        if self._hashing.acquire(blocking=False):
            try:
                self._hash_prefix()
            finally:
                self._hashing.release()
        with self._lock:
            if self._closed or not self._has(segment):
                return False
            if sync:
                segment.synced = segment.at - segment.start
                self._journal.record_synced(segment)
            self._unfinished -= 1
            return self._unfinished == 0

    def is_valid(self) -> bool:
        """Whether a complete part has the right digest; raises OSError."""
        with self._hashing:
            self._hash_prefix()
            return self._hashed == self.size and self._hash.hexdigest() == self.digest.partition(":")[2]

    def restart(self, *, single: bool = False) -> None:
        """Discard all bytes, or with `single` all after the prefix, and make the rest one segment."""
        with self._hashing, self._lock:
            at = self.prefix if single else 0
            if single:
                self.segments, self._length = [Segment(0, 0, self.size, at)], max(self.size, 1)
            for each in self.segments:
                each.at, each.synced = max(each.start, at) if single else each.start, 0
            self._unfinished = sum(not each.whole for each in self.segments)
            self._hash, self._hashed = hasher(self.digest), 0
            self._journal.reset(self.segments, self.size, self._length)

    def move_to(self, store: BlobStore) -> Path:
        """Move the complete file into the store; raises OSError."""
        path = store.move_in(self.path, self.digest)
        self.close()
        self._journal.remove()
        return path

    def discard(self) -> None:
        """Remove the part."""
        for remove in (self.path.unlink, self._journal.remove):
            with suppress(OSError):
                remove()
        self.close()

    def close(self) -> None:
        """Close the part, and keep it for a later run."""
        with self._hashing, self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._file)
                self._journal.close()

    def _restore(self) -> None:
        """Restore the progress of an earlier run, except for segments beyond the end of the file."""
        self._journal.restore(self.segments, self.size, self._length)
        size = os.fstat(self._file).st_size
        for each in self.segments:
            if each.at > size:
                each.at, each.synced = each.start, 0
        self._journal.reset(self.segments, self.size, self._length)

    def _sync(self) -> None:
        """Sync the file without holding the lock, so that other threads can write meanwhile."""
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

    def _hash_prefix(self) -> None:
        end = 0 if self._closed else self.prefix
        while self._hashed < end and (chunk := os.pread(self._file, min(_CHUNK, end - self._hashed), self._hashed)):
            self._hash.update(chunk)
            self._hashed += len(chunk)


def seconds_idle(store: BlobStore, digest: str) -> float:
    """Return the time since another run fetched anything of a blob."""
    with suppress(FileNotFoundError):
        return time() - _path(store, digest).stat().st_mtime
    return 0.0


def _path(store: BlobStore, digest: str) -> Path:
    return store.parts / f"{digest.replace(':', '-')}.part"


def open_part(store: BlobStore, digest: str, size: int, *, single: bool = False) -> PartialBlob | None:
    """Begin or resume a blob, with a `single` segment or several; None while another run has it. Raises OSError."""
    path = _path(store, digest)
    length = max(size, 1) if single else max(SEGMENT, -(-size // _MOST_SEGMENTS))
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with ExitStack() as undo:
            undo.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            if is_at(descriptor, path):  # else another run has just completed or removed it
                os.utime(descriptor)  # see `seconds_idle`
                part = PartialBlob(path, descriptor, digest, size, length)
                undo.pop_all()
                return part
