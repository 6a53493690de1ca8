"""Blobs on disk by digest, as an OCI image layout that several runs share.

Every run verifies the digest of a blob before it uses it, so a damaged file is only fetched again. The folder may be
deleted at any time.
"""

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from time import time

from puller.blobs import TEMPORARY
from puller.blobs.leftovers import Claim, claims_in, write_claims
from puller.image.oci_layout import blob_path, index_text
from puller.system import directories, files

LAYOUT = '{"imageLayoutVersion": "1.0.0"}'
"""The file `oci-layout`."""
_ANY = 1 << 62
_MODE = 0o700
"""Images may be private: only the owner can read the folder."""
_LOCK_TIMEOUT = 60.0
"""Seconds to wait for a change that another run makes to the whole store."""


class BlobStore:
    """A folder of blobs; safe for many threads and several concurrent runs."""

    def __init__(self, root: Path, limit: int | None, *, keep: bool = True, images: Iterable[str] = ()) -> None:
        """Open or create the folder; raises OSError. It is trimmed to `limit` bytes, or half the free space if less.

        Without a limit the folder is an export and not a cache: nothing is removed, and the umask sets its mode.
        Unless an earlier run wanted to `keep` the folder, it is removed at the end of a run that does not, without what
        other runs left for their `images`, which are canonical names; see `leftovers`.
        """
        self.root = root
        self.parts = root / "parts"
        self._export = limit is None
        self._mode = 0o777 if limit is None else _MODE
        self.limit, self.temporary = _ANY, False
        """The most bytes, and whether the folder is to be removed at the end."""
        self._images = dict.fromkeys(images)
        self._run = secrets.token_hex(8)
        self._added: set[str] = set()
        self._in_use = self._open_parts()  # locked (shared) while this run uses the store
        try:
            self._prepare(keep=keep)
        except OSError:  # on a full disk: nothing must stay there
            self.close()
            raise
        if limit is not None:
            self.limit = min(limit, _bytes_of(self._files()) + self.free // 2)

    def _prepare(self, *, keep: bool) -> None:
        root, mark = self.root, self.root / TEMPORARY
        (root / "blobs").mkdir(mode=self._mode, exist_ok=True)
        if not self._export:
            _require_private(root / "blobs")
        with self.locked():
            if keep:
                mark.unlink(missing_ok=True)
            elif not (root / "oci-layout").exists():
                mark.touch(mode=0o600)
            self.temporary = mark.exists()
            if self.temporary and self._images:
                own = [Claim(time(), self._run, image) for image in self._images]
                write_claims(root, (*claims_in(root), *own))
            for name, text in (("oci-layout", LAYOUT), ("index.json", index_text(()))):
                with suppress(FileExistsError), (root / name).open("x") as file:
                    file.write(text)

    @property
    def free(self) -> int:
        """Free bytes of the disk."""
        disk = os.statvfs(self.root)
        return disk.f_bavail * disk.f_frsize

    def locked(self) -> AbstractContextManager[None]:
        """Lock the whole store for a change of another thread or run; raises OSError."""
        return files.locked(self.parts / "store.lock", _LOCK_TIMEOUT)

    def path(self, digest: str) -> Path:
        """Return the path of a blob, present or not."""
        return self.root / blob_path(digest)

    def find(self, digest: str, size: int) -> Path | None:
        """Return the path of a blob that is present and valid; an invalid one is removed."""
        path, (algorithm, _, value) = self.path(digest), digest.partition(":")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with suppress(OSError), open(os.open(path, flags), "rb", buffering=0) as file:  # noqa: PTH123 - needs flags
            node = os.fstat(file.fileno())
            whole = stat.S_ISREG(node.st_mode) and node.st_size == size and (self._export or _is_own(node))
            if whole and hashlib.file_digest(file, algorithm).hexdigest() == value:
                os.utime(path)  # `trim` removes the least recently used first
                return path
            path.unlink()
        return None

    def move_in(self, part: Path, digest: str) -> Path:
        """Move a verified blob into the store; raises OSError."""
        path = self.path(digest)
        for folder in (path.parent.parent, path.parent):
            if folder.is_symlink():  # whose owner would choose where root makes a file
                raise OSError(errno.ELOOP, f"{folder} is a symbolic link")
        path.parent.mkdir(mode=self._mode, exist_ok=True)
        part.replace(path)
        self._added.add(digest)
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
        if not self._export:
            with self._alone() as alone:
                if alone:
                    self._trim(keep)

    def drop(self, digests: Iterable[str]) -> None:
        """Remove blobs; one that is needed again is fetched again."""
        for digest in digests:
            with suppress(OSError):
                self.path(digest).unlink()

    def close(self, *, resumable: bool = False) -> None:
        """Trim the store, and release this run's lock.

        A temporary one is removed, unless it is `resumable`, or has what a killed run left for other images less than a
        week ago: then what fits into half of the free space stays.
        """
        with suppress(OSError), self._alone() as alone:
            if self.temporary and (self.root / TEMPORARY).exists():
                self._close_temporary(alone=alone, resumable=resumable)
            elif alone and self._export:
                for path in self.parts.iterdir():
                    if path.suffix not in {".part", ".journal"}:  # left by a killed run, or our lock
                        path.unlink()
                self.parts.rmdir()  # unless it is not empty: a part can be resumed
            elif alone:
                self._trim(())
        os.close(self._in_use)

    def _close_temporary(self, *, alone: bool, resumable: bool) -> None:
        """Remove a temporary store, or only this run's claims and blobs; raises OSError."""
        claims = [
            each
            for each in claims_in(self.root)
            if not each.old and (resumable or (each.run != self._run and not (alone and each.image in self._images)))
        ]
        if alone and not ((claims or resumable) and 0 < _bytes_of(self._files()) <= self.free // 2):
            self._remove()
        elif not resumable:
            write_claims(self.root, claims)
            if alone:
                self.drop(self._added)

    def _remove(self) -> None:
        """Remove the folder, the locked one last: until then no other run can put anything into the others."""
        shutil.rmtree(self.root / "blobs")
        for name in ("oci-layout", "index.json", TEMPORARY):
            (self.root / name).unlink(missing_ok=True)
        shutil.rmtree(self.parts)
        self.root.rmdir()

    def _trim(self, keep: Collection[str]) -> None:
        kept = {self.path(digest) for digest in keep}
        found = sorted(self._files(), key=lambda item: item[1].st_mtime)
        used = _bytes_of(found)
        for path, status in found:
            if used <= self.limit:
                return
            if path not in kept and not (path.parent == self.parts and _is_locked(path.with_suffix(".part"))):
                with suppress(OSError):
                    path.unlink()
                    used -= status.st_blocks * 512

    def _open_parts(self) -> int:
        """Open and lock the folder of parts, which only its owner can open, and which another run may remove."""
        while True:
            if self._export:
                self.root.mkdir(parents=True, exist_ok=True)
            else:
                directories.make_directory(self.root)
                _require_private(self.root)
            with suppress(FileNotFoundError):
                self.parts.mkdir(mode=_MODE, exist_ok=True)
                _require_private(self.parts)
                folder = os.open(self.parts, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                fcntl.flock(folder, fcntl.LOCK_SH)
                if is_at(folder, self.parts):
                    return folder
                os.close(folder)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Tell whether no other run uses the store; none can begin to before the end of the block. Raises OSError."""
        with self.locked():  # a lock that is being converted is lost for a moment
            try:
                fcntl.flock(self._in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                alone = True
            except BlockingIOError:
                alone = False
            try:
                yield alone
            finally:
                fcntl.flock(self._in_use, fcntl.LOCK_SH)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield complete blobs and parts."""
        for folder in (*(self.root / "blobs").glob("*"), self.parts):
            for path in folder.glob("*"):
                if path.suffix != ".lock":
                    with suppress(OSError):
                        yield path, path.lstat()


def _bytes_of(found: Iterable[tuple[Path, os.stat_result]]) -> int:
    return sum(status.st_blocks * 512 for _, status in found)


def _is_own(node: os.stat_result) -> bool:
    """Tell whether nobody else can change a file: it is this user's, and has no other name."""
    return node.st_uid == os.geteuid() and node.st_nlink == 1


def _require_private(folder: Path) -> None:
    """Raise OSError if another user could put files into a folder."""
    node = folder.lstat()
    if node.st_uid != os.geteuid():
        raise OSError(errno.EPERM, f"{folder} belongs to another user")
    if node.st_mode & 0o022 or not stat.S_ISDIR(node.st_mode):
        raise OSError(errno.EPERM, f"others may write into {folder}")


def is_at(descriptor: int, path: Path) -> bool:
    """Tell whether an open file still has this path."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False


def _is_locked(part: Path) -> bool:
    try:
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False
