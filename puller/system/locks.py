"""The kernel's own locks on files, flock(2): they end with the process that holds them, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

_MODE = 0o600
_TICK = 0.05
_CAREFUL = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Of what another user may have put in the place no link is followed, and no FIFO waited for."""


def lock(descriptor: int) -> bool:
    """Lock an open file, unless somebody else has; say whether it is ours now. Raises OSError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take(path: Path) -> int | None:
    """Open a file, made if need be, that nobody else has locked, and lock it; None when somebody has. Raises OSError.

    What is locked is the file that has the name now: another run may have renamed or removed the one that had it.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _CAREFUL, _MODE)
        try:
            if not lock(descriptor):
                return None
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    taken, descriptor = descriptor, -1
                    return taken
        finally:
            if descriptor >= 0:
                os.close(descriptor)


@contextmanager
def held(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock of a file for a block; raises TimeoutError after so many seconds, and OSError."""
    until = monotonic() + patience
    while (descriptor := take(path)) is None:
        if monotonic() > until:
            raise TimeoutError
        sleep(_TICK)
    try:
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Tell whether somebody has locked a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _CAREFUL)
    except OSError:
        return False
    try:
        return not lock(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
