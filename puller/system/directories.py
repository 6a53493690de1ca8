"""Opens and creates directories, step by step, without following links of other users.

puller often runs as root and writes into directories of other users, such as that of a metrics collector. It follows
symbolic links among the parent directories only if root or this user made them, as systemd does (CHASE_SAFE in its
source).
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40  # symbolic links in one path, as many as Linux follows (path_resolution(7))
_TRIES = 3
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class ForeignError(OSError):
    """An entry of another user prevents writing."""


def make_directory(path: Path) -> None:
    """Create a directory and its parents with the mode 0700, if they do not exist.

    Raises OSError, also for a directory that another user owns or may write to.
    """
    for left in reversed(range(_TRIES)):
        try:
            with opened(path, make=True) as directory:
                node = os.fstat(directory)
                require(node.st_uid == os.geteuid(), "it belongs to another user")
                require(not node.st_mode & _OTHERS, f"it can be written by other users: chmod go-w {path}")
                return
        except OSError as error:
            if left and error.errno == errno.ENOENT:  # another run may have removed an empty parent at this moment
                continue
            raise type(error)(error.errno, f"the directory {path} cannot be used: {error.strerror}") from None


def remove_if_empty(path: Path) -> None:
    """Remove a directory if nothing is in it; otherwise do nothing."""
    with suppress(OSError):
        path.rmdir()


@contextmanager
def opened(path: Path, *, make: bool = False) -> Iterator[int]:
    """Open a directory step by step; it stays the same if its name is changed meanwhile. Raises OSError.

    A symbolic link of another user is refused: it could lead to a directory that only root may write to.
    """
    directory, rest, links = os.open(".", _STEP), [*path.parts][::-1], 0
    try:
        while rest:
            entered = _enter(rest.pop(), directory, path, make=make)
            node = os.fstat(entered)
            if stat.S_ISLNK(node.st_mode):
                links += 1
                try:
                    require(links <= _MOST_LINKS, os.strerror(errno.ELOOP), errno.ELOOP)
                    if not is_trusted(node):
                        raise ForeignError(errno.ELOOP, f"{path} has a symbolic link of another user in it")
                    rest += Path(os.readlink("", dir_fd=entered)).parts[::-1]
                finally:
                    os.close(entered)
                continue
            os.close(directory)
            directory = entered
            require(stat.S_ISDIR(node.st_mode), os.strerror(errno.ENOTDIR), errno.ENOTDIR)
        yield directory
    finally:
        os.close(directory)


def _enter(name: str, directory: int, path: Path, *, make: bool) -> int:
    """Open one component of a path, without following a symbolic link."""
    try:
        return os.open(name, _STEP, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise FileNotFoundError(errno.ENOENT, f"there is no directory {path}") from None
    with suppress(FileExistsError):  # another run has just created it
        os.mkdir(name, 0o700, dir_fd=directory)
    return os.open(name, _STEP, dir_fd=directory)


def is_trusted(node: os.stat_result) -> bool:
    """Tell whether root or this user owns an entry."""
    return node.st_uid in (0, os.geteuid())


def require(condition: bool, message: str, number: int = errno.EACCES) -> None:  # noqa: FBT001 - like assert
    """Raise OSError unless a condition holds."""
    if not condition:
        raise OSError(number, message)
