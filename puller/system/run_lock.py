"""One run at a time per engine: a lock that all users of this machine share, and that goes with its process.

The lock is flock(2) on a file in a directory that everybody may write into and where nobody may remove what belongs to
others (the sticky bit): a state directory belongs to one user, and an engine serves several. Only a file that was made
here a moment ago is written into, and no link is followed: what others may have put there does no harm.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from puller.system.locks import lock
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
    """Who has the lock, as far as it can be told: the kernel knows the process, the process says the rest."""

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
                if not lock(descriptor):
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
    """Ask the kernel who has the lock on a file, and read what that process says of itself."""
    node = os.fstat(descriptor)
    pids = set(_locking(node.st_ino))
    with suppress(OSError):
        written, _, doing = os.pread(descriptor, _NOTE, 0).decode(errors="replace").partition("\n")
        if written.isdecimal() and int(written) in pids:  # else it is what another left
            return Holder(int(written), _user(int(written)), datetime.fromtimestamp(node.st_mtime, UTC), clean(doing))
    if len(pids) == 1:
        return Holder(pid := pids.pop(), _user(pid))
    return Holder()


def _locking(inode: int) -> Iterator[int]:
    """Find processes with a flock on a file of this number, by /proc/locks (proc(5)).

    The device is not compared: of some file systems the kernel tells two. Other PID name spaces cannot be seen.
    """
    with suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            # 1: FLOCK  ADVISORY  WRITE 4711 00:1a:123 0 EOF; one that waits has an arrow before FLOCK.
            match line.split():
                case [_, "FLOCK", _, _, pid, where, *_] if where.endswith(f":{inode}") and int(pid) > 0:
                    yield int(pid)


def _user(pid: int) -> str:
    """Name the user that a process runs as."""
    import pwd  # noqa: PLC0415 - only to tell somebody who it is

    try:
        uid = Path(f"/proc/{pid}").stat().st_uid
        return pwd.getpwuid(uid).pw_name
    except OSError:
        return ""
    except KeyError:
        return f"user {uid}"
