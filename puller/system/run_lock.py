"""The run lock: one run at a time per engine, across all users of this machine. It ends with its process.

The lock is flock(2) on a file in a sticky directory that everybody may write to, because several users may share an
engine. puller writes only to a file that it has just created, and follows no symbolic link, so files of other users do
no harm. filelock has no such rules: it would write to another user's file.

But any user can hold that lock for ever. So root's runs exclude each other by a file in a directory of root's, and take
the common lock only to be seen: they do not wait for other users.
"""

import errno
import fcntl
import os
import pwd
import stat
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from puller.system import directories
from puller.text import clean, plain_error, timestamp

PLACES = (Path("/run/lock"), Path("/tmp"))  # noqa: S108 - not a temporary file: all users must find the same one
"""Directories for lock files; the first that everybody may write to is used. On some systems only root may write to
/run/lock."""
ROOT_PLACE = Path("/run/puller")
_SHARED = stat.S_ISVTX | stat.S_IWOTH
_CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
_EXISTING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST_NOTE = 1024  # bytes of a lock file: the process ID and the command


class Holder(NamedTuple):
    """The process that holds the lock; `pid` is None if it is unknown."""

    pid: int | None = None
    user: str = ""
    since: datetime | None = None
    doing: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return "a process that is not visible here, such as one in another container"
        text = f"process {self.pid}" + (f" of {self.user}" if self.user else "")
        text += f" since {timestamp(self.since)}" if self.since else ""
        return f"{text} ({self.doing})" if self.doing else text


class RunLock:
    """The lock of one engine. It is advisory: a run that cannot take it may go on without it."""

    def __init__(self, engine: str) -> None:
        """Name the lock after the engine, such as its address; raises OSError if there is no directory for locks."""
        name = f"puller-{sha256(engine.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.lock"
        self._common: _FileLock | None = None
        self.note = ""
        """What is odd about the common lock, which root's run goes on without."""
        try:
            self._lock = _FileLock(_root_place() / name)
        except OSError:  # not root, or /run is read-only
            self._lock = _FileLock(_place() / name)
        else:
            with suppress(OSError):
                self._common = _FileLock(_place() / name)
        self.path = self._lock.path

    def take(self, doing: str) -> Holder | None:
        """Take the lock, or return its holder; `doing` is the command to show to others. Raises OSError."""
        if (holder := self._lock.take(doing)) or not self._common:
            return holder
        try:
            if other := self._common.take(doing):
                self.note = f"goes on beside a run of another user: {other}"
        except OSError as error:
            if error.errno != errno.EROFS:  # nobody put it there
                self.note = f"other users cannot see this run: {plain_error(error)}"
        return None

    def release(self) -> None:
        """Release the lock, if it was taken, and remove its file."""
        for lock in filter(None, (self._lock, self._common)):
            lock.release()


class _FileLock:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, doing: str) -> Holder | None:
        while True:
            descriptor, fresh = self._open()
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _holder(descriptor)
                if os.fstat(descriptor).st_nlink == 0 or (not fresh and self._remove_stale()):
                    continue  # the file was removed, or a killed run left it: create a new one
                if fresh:
                    os.fchmod(descriptor, 0o644)  # whatever the umask: others must be able to read it
                    os.write(descriptor, f"{os.getpid()}\n{clean(doing, _LONGEST_NOTE // 4)}\n".encode())
                self._descriptor, descriptor = descriptor, -1
                return None
            finally:
                if descriptor >= 0:
                    os.close(descriptor)

    def release(self) -> None:
        if self._descriptor is None:
            return
        if os.fstat(self._descriptor).st_nlink:
            with suppress(OSError):
                self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    def _open(self) -> tuple[int, bool]:
        """Open the lock file; the second value tells whether it was just created."""
        for _ in range(9):  # other runs may create and remove it at the same time
            try:
                return os.open(self.path, _CREATE, 0o644), True
            except FileExistsError:
                with suppress(FileNotFoundError):
                    return os.open(self.path, _EXISTING), False
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(self.path))

    def _remove_stale(self) -> bool:
        """Remove the file of a killed run while holding its lock; return False if it belongs to another user."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def _root_place() -> Path:
    if os.geteuid() != 0:
        raise PermissionError(errno.EPERM, "for root only", str(ROOT_PLACE))
    directories.make_directory(ROOT_PLACE)
    return ROOT_PLACE


def _place() -> Path:
    """Choose the directory by its mode and not by this user's rights, so that all users choose the same one."""
    for place in PLACES:
        with suppress(OSError):
            mode = place.stat().st_mode
            if stat.S_ISDIR(mode) and mode & _SHARED == _SHARED:
                return place
    names = " nor ".join(map(str, PLACES))
    raise OSError(errno.ENOENT, "no sticky directory that everybody may write to", names)


def _holder(descriptor: int) -> Holder:
    """Read the holder from the lock file; unknown if the process in the file has ended and so is not the holder."""
    node = os.fstat(descriptor)
    first_line, _, doing = os.pread(descriptor, _LONGEST_NOTE, 0).decode(errors="replace").partition("\n")
    pid = int(first_line) if first_line.isdecimal() else 0
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
