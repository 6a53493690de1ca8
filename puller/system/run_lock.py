"""One run at a time per engine: a lock that all users of this machine share, and that goes with its process.

The lock is flock(2) on a file in a directory that everybody may write into and where nobody may remove what belongs to
others (the sticky bit): a state directory belongs to one user, and an engine serves several. Only a file that was made
here a moment ago is written into, and no link is followed: what others may have put there does no harm. filelock has
no such rules, and wants to write to a file that may be another user's.
"""

import errno
import fcntl
import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from puller.text import clean, timestamp

PLACES = (Path("/run/lock"), Path("/tmp"))  # noqa: S108 - no temporary file: all users must find the same
"""Where locks may be; the first that is open to everybody. Some systems keep /run/lock for root."""
_OPEN = stat.S_ISVTX | stat.S_IWOTH
_OURS = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
_THEIRS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOTE = 1024
"""Bytes: a process and what it does."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the lock, as its file says; without a `pid` that is not known."""

    pid: int | None = None
    user: str = ""
    since: datetime | None = None
    doing: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        if self.pid is None:
            return "a process that cannot be seen from here, as one in another container"
        words = f"process {self.pid}" + (f" of {self.user}" if self.user else "")
        words += f" since {timestamp(self.since)}" if self.since else ""
        return f"{words} ({self.doing})" if self.doing else words


class RunLock:
    """The lock of one engine. Holding it is a matter of manners: whoever cannot take it may go on without."""

    def __init__(self, engine: str) -> None:
        """Take the engine's identity, such as its address; raises OSError where there is no place for locks."""
        name = sha256(engine.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self.path = _place() / f"puller-{name}.lock"
        self._descriptor: int | None = None

    def take(self, doing: str) -> Holder | None:
        """Take the lock, or say who has it; `doing` is for others to read. Raises OSError where that cannot be."""
        while True:
            descriptor, fresh = self._open()
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _holder(descriptor)
                if os.fstat(descriptor).st_nlink == 0 or not (fresh or self._must_stay()):
                    continue  # it has gone, or was left by a run that was killed: another one, made here
                if fresh:
                    os.fchmod(descriptor, 0o644)  # whatever the umask: others must be able to look
                    os.write(descriptor, f"{os.getpid()}\n{clean(doing, _NOTE // 4)}\n".encode())
                self._descriptor, descriptor = descriptor, -1
                return None
            finally:
                if descriptor >= 0:
                    os.close(descriptor)

    def release(self) -> None:
        """Give the lock back, if it was taken, and leave no file."""
        if self._descriptor is None:
            return
        if os.fstat(self._descriptor).st_nlink:
            with suppress(OSError):
                self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    def _open(self) -> tuple[int, bool]:
        """Open the file, and say whether it was made here."""
        for _ in range(9):  # others come and go meanwhile
            try:
                return os.open(self.path, _OURS, 0o644), True
            except FileExistsError:
                with suppress(FileNotFoundError):
                    return os.open(self.path, _THEIRS), False
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(self.path))

    def _must_stay(self) -> bool:
        """Remove what a killed run left, under its lock; say whether it is another user's, so that it must stay."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return True
        return False


def _place() -> Path:
    """Choose by what the directories are and not by who asks, so that all users come to the same one."""
    for place in PLACES:
        with suppress(OSError):
            mode = place.stat().st_mode
            if stat.S_ISDIR(mode) and mode & _OPEN == _OPEN:
                return place
    names = " nor ".join(map(str, PLACES))
    raise OSError(errno.ENOENT, "neither is a directory that is open to everybody and sticky", names)


def _holder(descriptor: int) -> Holder:
    """Read what the file says; a process that does not run is one that was killed, and the holder another."""
    node = os.fstat(descriptor)
    written, _, doing = os.pread(descriptor, _NOTE, 0).decode(errors="replace").partition("\n")
    pid = int(written) if written.isdecimal() else 0
    if pid == 0 or not _runs(pid):
        return Holder()
    return Holder(pid, _user(node.st_uid), datetime.fromtimestamp(node.st_mtime, UTC), clean(doing))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
