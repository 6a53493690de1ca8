"""Blobs kept on disk by their digest, as an OCI image layout that several runs share.

A blob is believed when it has been read and its digest is right, in every run anew: nothing that happens to the files
between two runs can do more harm than that a blob is fetched again. The folder may be deleted at any time.
"""

import json
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from puller.image.digest import hasher

_LAYOUT = {"imageLayoutVersion": "1.0.0"}
_INDEX = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
_CHUNK = 1 << 20
_ANY = 1 << 62
_MODE = 0o700
"""Images may be private: the folder is its owner's."""


class BlobStore:
    """One folder of blobs; safe for many threads, and for several runs at once."""

    def __init__(self, root: Path, limit: int | None) -> None:
        """Open or make the folder; raises OSError. More than `limit` bytes are not kept beyond what is in use.

        Of a disk that is nearly full no more than half of what is free is taken. Without a limit it is no cache, but
        somebody's images: all are kept, and the folder's mode is what the user's umask says.
        """
        self.root = root
        self.parts = root / "parts"
        self._mode = 0o777 if limit is None else _MODE
        self.parts.mkdir(mode=self._mode, parents=True, exist_ok=True)
        (root / "blobs").mkdir(mode=self._mode, exist_ok=True)
        _write_once(root / "oci-layout", json.dumps(_LAYOUT))
        _write_once(root / "index.json", json.dumps(_INDEX))
        self._runs = root / "runs"
        self._runs.mkdir(exist_ok=True)
        self._run = FileLock(self._runs / secrets.token_hex(8), thread_local=False)  # says that this run lives
        self._run.acquire()
        disk = os.statvfs(root)
        room = self.held() + disk.f_bavail * disk.f_frsize // 2
        self.limit = _ANY if limit is None else min(limit, room)

    def path(self, digest: str) -> Path:
        """Where a blob is, or would be (OCI image layout "Blobs")."""
        algorithm, _, encoded = digest.partition(":")
        return self.root / "blobs" / algorithm / encoded

    def find(self, digest: str, size: int) -> Path | None:
        """Give the path of a blob that is there and right; a wrong one is removed."""
        path = self.path(digest)
        try:
            right = path.stat().st_size == size and digest_of(path, digest) == digest
            if not right:
                path.unlink(missing_ok=True)
                return None
            os.utime(path)  # last used now: what is evicted first is what was not
        except OSError:
            return None
        return path

    def settle(self, part: Path, digest: str) -> Path:
        """Take in a blob that was found right, by renaming; raises OSError."""
        path = self.path(digest)
        path.parent.mkdir(mode=self._mode, exist_ok=True)
        part.replace(path)
        return path

    def add(self, digest: str, data: bytes) -> None:
        """Take in a document that was checked already; raises OSError."""
        temporary = self.parts / f"{digest.replace(':', '-')}.{secrets.token_hex(4)}"
        with temporary.open("xb") as file:
            file.write(data)
        self.settle(temporary, digest)

    def held(self) -> int:
        """Bytes on disk, of whole blobs and of parts."""
        return sum(status.st_blocks * 512 for _, status in self._files())

    def trim(self, keep: Collection[str] = ()) -> None:
        """Remove what was not used for longest until the rest is below the limit: nothing that any live run uses.

        `keep` are the digests that this run still needs; while another run lives, nothing is removed.
        """
        if self.limit == _ANY or not self._is_only_run():
            return
        kept = {self.path(digest) for digest in keep}
        files = sorted(self._files(), key=lambda item: item[1].st_mtime)
        held = sum(status.st_blocks * 512 for _, status in files)
        for path, status in files:
            if held <= self.limit:
                return
            if path not in kept and not (path.parent == self.parts and _is_locked(path.with_suffix(".lock"))):
                with suppress(OSError):
                    path.unlink()
                    held -= status.st_blocks * 512

    def close(self) -> None:
        """Remove what is too much, and count as a run no more."""
        self.trim()
        release(self._run)
        if self.limit == _ANY:
            for folder in (self.parts, self._runs):
                with suppress(OSError):  # another run is at work, or has left something to go on with
                    folder.rmdir()

    def _is_only_run(self) -> bool:
        """Tell whether no other run lives; the lock files of dead ones are removed."""
        others = [path for path in self._runs.glob("*") if str(path) != self._run.lock_file]
        return not any([_is_locked(path) for path in others])  # noqa: C419 - look at each, to remove it

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for folder in (*(self.root / "blobs").glob("*"), self.parts):
            for path in folder.glob("*"):
                if path.suffix != ".lock":
                    with suppress(OSError):
                        yield path, path.stat()


def try_lock(path: Path) -> FileLock | None:
    """Lock a file, made if need be; None while somebody else has it locked. Raises OSError."""
    lock = FileLock(path, thread_local=False)  # one thread takes it, another may release it
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def release(lock: FileLock) -> None:
    """Release a lock, and remove its file first: whoever waits for a removed file makes a new one."""
    with suppress(OSError):
        Path(lock.lock_file).unlink()
    lock.release()


def _is_locked(path: Path) -> bool:
    """Tell whether a run has this file locked, or may have; a lock file that nobody holds is removed."""
    try:
        lock = try_lock(path)
    except OSError:
        return True
    if lock:
        release(lock)
    return lock is None


def digest_of(path: Path, like: str) -> str:
    """Read a file and give its digest, by the algorithm of another digest; raises OSError."""
    check = hasher(like)
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            check.update(chunk)
    return f"{like.partition(':')[0]}:{check.hexdigest()}"


def _write_once(path: Path, text: str) -> None:
    with suppress(FileExistsError), path.open("x") as file:
        file.write(text)
