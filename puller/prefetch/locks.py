"""Locks between runs, by flock(2): they end with the process that holds them, however it ends."""

import fcntl
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Run:
    """A live run: as long as its file is locked, it lives."""

    path: "Path"
    descriptor: int


def take(path: "Path") -> int | None:
    """Open a file, made if need be, that nobody else has locked, and lock it; None when somebody has. Raises OSError.

    What is locked is the file that has the name now: another run may have renamed or removed the one that had it.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def is_held(path: "Path") -> bool:
    """Tell whether somebody has locked a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def announce(folder: "Path") -> Run:
    """Let other runs know of this one; raises OSError."""
    folder.mkdir(exist_ok=True)
    while True:
        path = folder / secrets.token_hex(8)
        if (descriptor := take(path)) is not None:
            return Run(path, descriptor)


def alone(folder: "Path", run: Run) -> bool:
    """Tell whether no other run lives; what dead ones have left is removed."""
    others = [path for path in folder.glob("*") if path != run.path]
    living = [path for path in others if is_held(path)]
    for path in set(others) - set(living):
        path.unlink(missing_ok=True)
    return not living


def leave(run: Run) -> None:
    """Live no more."""
    run.path.unlink(missing_ok=True)
    with suppress(OSError):
        os.close(run.descriptor)
