"""Blobs on disk by digest, as an OCI image layout that several runs share.

Every run verifies the digest of a blob before it uses it, so a damaged file is only fetched again. The folder may be
deleted at any time.
"""

import hashlib
import os
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from puller.image.oci_layout import blob_path, index_text

LAYOUT = '{"imageLayoutVersion": "1.0.0"}'
"""The file `oci-layout`."""
_ANY = 1 << 62
_MODE = 0o700
"""Images may be private: only the owner can read the folder."""


class BlobStore:
    """A folder of blobs; safe for many threads and several concurrent runs."""

    def __init__(self, root: Path, limit: int | None) -> None:
        """Open or create the folder; raises OSError. It is trimmed to `limit` bytes, or half the free space if less.

        Without a limit the folder is an export and not a cache: nothing is removed, and the umask sets its mode.
        """
        self.root = root
        self.parts = root / "parts"
        self._mode = 0o777 if limit is None else _MODE
        self.parts.mkdir(mode=self._mode, parents=True, exist_ok=True)
        (root / "blobs").mkdir(mode=self._mode, exist_ok=True)
        for name, text in (("oci-layout", LAYOUT), ("index.json", index_text(()))):
            with suppress(FileExistsError), (root / name).open("x") as file:
                file.write(text)
        self._runs = root / "runs"
        self._runs.mkdir(exist_ok=True)
        self._run = FileLock(self._runs / secrets.token_hex(8), thread_local=False)
        self._run.acquire()  # held while this run uses the store
        disk = os.statvfs(root)
        available = _bytes_of(self._files()) + disk.f_bavail * disk.f_frsize // 2
        self.limit = _ANY if limit is None else min(limit, available)

    def path(self, digest: str) -> Path:
        """Return the path of a blob, present or not."""
        return self.root / blob_path(digest)

    def find(self, digest: str, size: int) -> Path | None:
        """Return the path of a blob that is present and valid; an invalid one is removed."""
        path, (algorithm, _, value) = self.path(digest), digest.partition(":")
        with suppress(OSError), path.open("rb", buffering=0) as file:
            if path.stat().st_size == size and hashlib.file_digest(file, algorithm).hexdigest() == value:
                os.utime(path)  # `trim` removes the least recently used first
                return path
            path.unlink()
        return None

    def move_in(self, part: Path, digest: str) -> Path:
        """Move a verified blob into the store; raises OSError."""
        path = self.path(digest)
        path.parent.mkdir(mode=self._mode, exist_ok=True)
        part.replace(path)
        return path

    def add(self, digest: str, data: bytes) -> None:
        """Store a verified manifest; raises OSError."""
        temporary = self.parts / f"{digest.replace(':', '-')}.{secrets.token_hex(4)}"
        with temporary.open("xb") as file:
            file.write(data)
        self.move_in(temporary, digest)

    def trim(self, keep: Collection[str] = ()) -> None:
        """Remove the least recently used blobs until the rest is within the limit.

        `keep` are the digests that this run needs. Nothing is removed while another run uses the store.
        """
        if self.limit == _ANY or not self._is_only_run():
            return
        kept = {self.path(digest) for digest in keep}
        files = sorted(self._files(), key=lambda item: item[1].st_mtime)
        used = _bytes_of(files)
        for path, status in files:
            if used <= self.limit:
                return
            if path not in kept and not (path.parent == self.parts and _is_locked(path.with_suffix(".lock"))):
                with suppress(OSError):
                    path.unlink()
                    used -= status.st_blocks * 512

    def close(self) -> None:
        """Trim the store, and release this run's lock."""
        self.trim()
        release(self._run)
        if self.limit == _ANY:
            for folder in (self.parts, self._runs):
                with suppress(OSError):  # used by another run, or not empty: a part can be resumed
                    folder.rmdir()

    def _is_only_run(self) -> bool:
        """Whether no other run uses the store; lock files of dead runs are removed."""
        others = [path for path in self._runs.glob("*") if str(path) != self._run.lock_file]
        return not any([_is_locked(path) for path in others])  # noqa: C419 - the list removes every stale file

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield complete blobs and parts."""
        for folder in (*(self.root / "blobs").glob("*"), self.parts):
            for path in folder.glob("*"):
                if path.suffix != ".lock":
                    with suppress(OSError):
                        yield path, path.stat()


def _bytes_of(files: Iterable[tuple[Path, os.stat_result]]) -> int:
    return sum(status.st_blocks * 512 for _, status in files)


def try_lock(path: Path) -> FileLock | None:
    """Lock a file, creating it if necessary; None while another process holds the lock. Raises OSError."""
    lock = FileLock(path, thread_local=False)  # another thread may release it
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def release(lock: FileLock) -> None:
    """Remove the lock file, and then release the lock; other processes create a new file."""
    with suppress(OSError):
        Path(lock.lock_file).unlink()
    lock.release()


def _is_locked(path: Path) -> bool:
    """Whether another run holds a lock, or may hold it; a stale lock file is removed."""
    try:
        lock = try_lock(path)
    except OSError:
        return True
    if lock:
        release(lock)
    return lock is None
