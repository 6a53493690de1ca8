"""Directories for the sockets of forwards: private, with a short path, and removed even after puller was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "puller-ssh-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST = 60
"""Bytes of a base: the path of a Unix socket has at most 107, and ssh adds 17 to that of its control socket."""


@contextmanager
def socket_folder() -> Iterator[Path]:
    """Make a directory of mode 0700 for sockets, and remove it at the end; raises OSError.

    Its lock (flock(2)) ends with this process, so that the next forward removes what a killed process has left.
    """
    base = _base()
    _sweep(base)
    folder, lock = _locked(base)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(base: str) -> tuple[Path, int]:
    """Make a directory, and lock it; again if another run took it for that of a killed one before it was locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        with suppress(FileNotFoundError):
            lock = os.open(folder, _DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH)
                if os.path.samestat(folder.lstat(), os.fstat(lock)):
                    return folder, lock
            except OSError:
                os.close(lock)
                raise
            os.close(lock)


def _base() -> str:
    """Return the user's runtime directory, or that for temporary files, unless its path is long or odd."""
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):
        plain = place.startswith("/") and len(os.fsencode(place)) <= _LONGEST and not set(place) & set(":$%\\\"' \t\n")
        if plain and os.access(place, os.W_OK | os.X_OK):
            return place
    return "/tmp"  # noqa: S108 - mkdtemp makes a directory of its own there


def _sweep(base: str) -> None:
    """Remove the directories of processes that have ended."""
    for folder in Path(base).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(folder, _DIRECTORY)
            try:
                if os.fstat(lock).st_uid != os.geteuid():
                    continue
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
