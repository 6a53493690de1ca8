"""Text on its way into files: whole or not at all, and refused before the run rather than after it."""

import errno
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from puller.errors import UsageError
from puller.text import clean

_OWN_STREAM = re.compile(r"/dev/(?:std(?P<name>out|err)|fd/(?P<number>\d+))|/proc/self/fd/(?P<proc>\d+)")

_STALE = 3600
"""Seconds: no report takes so long to write."""


def check(path: Path) -> None:
    """Raise UsageError when `path` cannot be written, so that nobody pulls for an hour to learn it."""
    try:
        mode = _mode(path)
    except OSError as error:
        raise _refusal(path, error.strerror) from None
    target = _target(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise _refusal(path, "it is a directory", "name a file in it")
    if mode is not None and not stat.S_ISREG(mode):
        if not os.access(path, os.W_OK):
            raise _refusal(path, "permission denied")
    elif not target.parent.is_dir():
        raise _refusal(path, f"there is no directory {target.parent}", "create it first")
    elif not os.access(target.parent, os.W_OK | os.X_OK):
        raise _refusal(path, f"the directory {target.parent} is not writable")


def held(path: Path) -> str:
    """Read an ordinary file that is about to be replaced; empty where there is none, or it cannot be read."""
    try:
        mode = _mode(path)
        if mode is None or not stat.S_ISREG(mode) or _own_stream(path) is not None:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def write(path: Path, text: str, *, private: bool = False) -> None:
    """Write `text` so that a reader sees the old file or the new one, never half; raise UsageError.

    A new file is as open as the umask lets it; with `private` any is this user's alone.
    """
    data = text.encode("utf-8", "backslashreplace")
    try:
        mode = _mode(path)
        mode = stat.S_IFREG | 0o600 if private else mode
        if _own_stream(path) is not None or (mode is not None and not stat.S_ISREG(mode)):
            _write_into(path, data)
        else:
            _replace(_target(path), data, mode)
    except OSError as error:
        raise _refusal(path, error.strerror) from error


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    """Write beside the target, then rename: the kernel makes that step whole."""
    _sweep(target.parent)
    temporary = target.with_name(f".puller-{os.urandom(8).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            _put(file, data)
            os.fsync(file.fileno())
        try:
            temporary.replace(target)
        except OSError as error:
            # A file that is itself a mount point (docker run -v ./report.json:/report.json) cannot be renamed over.
            if error.errno != errno.EBUSY:
                raise
            _write_into(target, data)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(directory: Path) -> None:
    """Remove what runs that were killed while they wrote have left there: own files, too old to be written yet."""
    for path in directory.glob(".puller-*.tmp"):
        with suppress(OSError):
            node = path.lstat()
            if node.st_uid == os.geteuid() and time.time() - node.st_mtime > _STALE:
                path.unlink()


def _write_into(path: Path, data: bytes) -> None:
    own = _own_stream(path)
    # Opening /dev/stdout anew would start at the top of a redirected file, over what was printed before.
    with open(path if own is None else os.dup(own), "wb") as file:  # noqa: PTH123 - Path.open takes no descriptor
        _put(file, data)


def _put(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()


def _own_stream(path: Path) -> int | None:
    """Give the descriptor that a name such as /dev/stdout stands for."""
    match = _OWN_STREAM.fullmatch(str(path))
    if match is None:
        return None
    if name := match["name"]:
        return 1 if name == "out" else 2
    return int(match["number"] or match["proc"])


def _mode(path: Path) -> int | None:
    """Give the type and permissions of what is there, behind any symlink; None when nothing is."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _target(path: Path) -> Path:
    """Give the file behind a symlink, which need not exist yet: the link itself is to stay."""
    return Path(os.path.realpath(path))


def _refusal(path: Path, reason: str | None, cure: str = "choose another path") -> UsageError:
    return UsageError(clean(f"cannot write {path}: {(reason or 'unknown error').lower()}; {cure}"))
