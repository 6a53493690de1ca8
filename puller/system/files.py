"""Writes files atomically, and safely in directories of other users.

It always creates a new file with a fixed mode and renames it; it does not follow, wait for or copy an existing entry of
that name. `puller.system.directories` opens the directory.
"""

import errno
import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from puller.errors import UsageError
from puller.system.directories import ForeignError, is_trusted, opened, require
from puller.text import clean

_OWN_STREAM = re.compile(r"/dev/(?:std(?P<name>out|err)|fd/(?P<number>\d+))|/proc/self/fd/(?P<proc>\d+)")
_OWN_INPUT = re.compile(r"/dev/stdin|(?:/dev|/proc/self)/fd/\d+")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EXISTING = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Flags to open an entry that another user may have made: its type is checked before anything else."""
_TICK = 0.05  # seconds between two attempts to take a lock
_PRIVATE = 0o600
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_PUBLIC = 0o644
_WRONG_TYPES = (
    (stat.S_ISLNK, errno.ELOOP, "it is a symbolic link, which is not followed"),
    (stat.S_ISDIR, errno.EISDIR, "it is a directory"),
    (stat.S_ISFIFO, errno.EINVAL, "it is a FIFO"),
    (stat.S_ISSOCK, errno.EINVAL, "it is a socket"),
    (stat.S_ISBLK, errno.EINVAL, "it is a block device"),
)
_ADVICE = {errno.ENOENT: "create it first", errno.EISDIR: "name a file in it", errno.ELOOP: "name what it points to"}


def check(path: Path) -> None:
    """Raise UsageError if `path` cannot be written, so that the user learns it before the pull and not after it.

    An entry of another user is not an error here: `write` will report it, because it must not prevent the run.
    """
    try:
        if (own := _own_stream(path)) is not None:
            os.fstat(own)
            return
        with opened(path.parent) as directory:
            if stat.S_ISCHR(_type(path.name, directory)):
                require(os.access(path.name, os.W_OK, dir_fd=directory), "permission denied")
            else:
                writable = os.access(".", os.W_OK | os.X_OK, dir_fd=directory)
                require(writable, f"the directory {path.parent} is not writable")
    except ForeignError:
        return
    except OSError as error:
        raise _refusal(path, error) from None


def read(path: Path, most: int = -1) -> str:
    """Read a file that puller wrote earlier, or its first `most` bytes; bytes that are not UTF-8 are replaced.

    Raises OSError, also if users other than root and this one may write it.
    """
    with opened(path.parent) as directory:
        _type(path.name, directory)
        descriptor = os.open(path.name, os.O_RDONLY | _EXISTING, dir_fd=directory)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - Path.open takes no descriptor
        node = os.fstat(descriptor)
        require(stat.S_ISREG(node.st_mode), "it is not a regular file")
        require(is_trusted(node), "it belongs to another user")
        require(not node.st_mode & _OTHERS, "other users may write to it")
        return file.read(most).decode("utf-8", "replace")


def open_regular(path: Path | str) -> BinaryIO:
    """Open a file that others name, such as a list or a configuration; raises OSError if it is not a regular file.

    Reading from a FIFO or a device may never end. Only the process's own descriptors (`/dev/stdin`, `/dev/fd/63` of a
    shell's `<(…)`) may be pipes, and /dev/null is an empty file. Symbolic links are followed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        require(not stat.S_ISDIR(mode), os.strerror(errno.EISDIR), errno.EISDIR)
        allowed = stat.S_ISREG(mode) or str(path) == os.devnull or _OWN_INPUT.fullmatch(str(path))
        require(bool(allowed), "not a regular file", errno.EINVAL)
        os.set_blocking(descriptor, True)
        return open(descriptor, "rb")  # noqa: PTH123 - as above; the caller closes it
    except OSError:
        os.close(descriptor)
        raise


def write(path: Path, text: str, *, private: bool = False) -> None:
    """Write `text` so that a reader sees the old file or the new one, never a part; raises UsageError.

    The mode is 0644 less the umask, or 0600 with `private`.
    """
    data = text.encode("utf-8", "backslashreplace")
    try:
        if (own := _own_stream(path)) is not None:
            # Opening /dev/stdout would truncate a redirected file, and lose what was printed before.
            with open(os.dup(own), "wb") as file:  # noqa: PTH123 - as above
                file.write(data)
            return
        with opened(path.parent) as directory:
            if stat.S_ISCHR(_type(path.name, directory)):
                with _opened(path.name, directory, stat.S_ISCHR) as file:
                    file.write(data)
            else:
                with _replacing(path.name, directory, _PRIVATE if private else _PUBLIC, sync=True) as file:
                    file.write(data)
    except OSError as error:
        raise _refusal(path, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that is renamed to `path` when the block ends without an error; raises OSError.

    It is not synced to the disk: its content can be downloaded again after a crash of the machine.
    """
    with opened(path.parent) as directory:
        require(not stat.S_ISCHR(_type(path.name, directory)), "it is a device")
        with _replacing(path.name, directory, _PUBLIC, sync=False) as file:
            yield file


def append(path: Path, data: bytes) -> None:
    """Append to a file as `appending` does; raises OSError."""
    with appending(path) as file:
        file.write(data)


@contextmanager
def appending(path: Path) -> Iterator[IO[bytes]]:
    """Open a file or a device to append to; a new file has the mode 0644 less the umask. Raises OSError.

    A file with a second name is refused: it may be a file of root that another user linked into this directory.
    """
    if (own := _own_stream(path)) is not None:
        with open(os.dup(own), "wb") as file:  # noqa: PTH123 - as above
            yield file
        return
    flags = os.O_APPEND | os.O_CREAT
    with opened(path.parent) as directory, _opened(path.name, directory, _is_log, flags) as file:
        require(os.fstat(file.fileno()).st_nlink <= 1, "it has a second name (a hard link)")
        yield file


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock (flock) of a file, which stays; raises TimeoutError after `seconds`, and OSError.

    filelock does the same, but every run takes this lock, and the import takes 25 ms.
    """
    ends = time.monotonic() + seconds
    with opened(path.parent) as directory, _opened(path.name, directory, stat.S_ISREG, os.O_CREAT) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= ends:
                    raise TimeoutError from None
                time.sleep(_TICK)
        yield


@contextmanager
def _replacing(name: str, directory: int, mode: int, *, sync: bool) -> Iterator[IO[bytes]]:
    """Open a new file in the same directory and rename it at the end of the block."""
    _remove_stale(directory)
    temporary, descriptor = _create(directory, mode)
    try:
        with open(descriptor, "w+b") as file:  # noqa: PTH123 - as above
            yield file
            file.flush()
            if sync:
                os.fsync(descriptor)
            try:
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError as error:
                # A file that is a mount point (docker run -v ./report.json:/report.json) cannot be replaced.
                if error.errno != errno.EBUSY:
                    raise
                with _opened(name, directory, stat.S_ISREG) as mounted:
                    mounted.truncate()
                    file.seek(0)
                    shutil.copyfileobj(file, mounted)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)


@contextmanager
def _opened(name: str, directory: int, is_type: Callable[[int], bool], flags: int = 0) -> Iterator[IO[bytes]]:
    """Open an existing entry of the right type for writing; raises OSError."""
    _type(name, directory)
    descriptor = os.open(name, os.O_WRONLY | _EXISTING | flags, _PUBLIC, dir_fd=directory)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - as above
        require(is_type(os.fstat(descriptor).st_mode), "it was replaced while it was being opened")
        os.set_blocking(descriptor, True)
        yield file


def _create(directory: int, mode: int) -> tuple[str, int]:
    """Create a temporary file, which is locked as long as its writer lives."""
    while True:
        name = f".puller-{os.urandom(8).hex()}.tmp"
        descriptor = os.open(name, _NEW, mode, dir_fd=directory)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:  # else another run took it for one that a killed run left
            return name, descriptor
        os.close(descriptor)


def _remove_stale(directory: int) -> None:
    """Remove temporary files of this user that killed runs left."""
    with suppress(OSError), _reopened(".", directory, os.O_DIRECTORY) as listing:
        for name in os.listdir(listing):  # noqa: PTH208 - Path takes no descriptor
            if name.startswith(".puller-") and name.endswith(".tmp"):
                with suppress(OSError), _reopened(name, directory, _EXISTING) as file:
                    if os.fstat(file).st_uid == os.geteuid():
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        os.unlink(name, dir_fd=directory)


@contextmanager
def _reopened(name: str, directory: int, flags: int) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _type(name: str, directory: int) -> int:
    """Return the mode of an entry, 0 if there is none; raises OSError if it is neither a file nor a device."""
    try:
        node = os.stat(name or ".", dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return 0
    for is_wrong, number, message in _WRONG_TYPES:
        if is_wrong(node.st_mode):
            raise (OSError if is_trusted(node) else ForeignError)(number, message)
    return node.st_mode


def _is_log(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISCHR(mode)


def _own_stream(path: Path) -> int | None:
    """Return the descriptor that a path such as /dev/stdout names."""
    match = _OWN_STREAM.fullmatch(str(path))
    if match is None:
        return None
    return {"out": 1, "err": 2}.get(match["name"]) or int(match["number"] or match["proc"])


def _refusal(path: Path, error: OSError) -> UsageError:
    reason = error.strerror or "unknown error"
    advice = _ADVICE.get(error.errno or 0, "choose another path")
    return UsageError(clean(f"cannot write {path}: {reason[:1].lower()}{reason[1:]}; {advice}"))
