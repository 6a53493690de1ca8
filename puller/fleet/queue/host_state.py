"""What a host remembers of its tasks: one pull at a time of an image, and how often each task was begun."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from puller.errors import UsageError
from puller.fleet.queue.messages import PullTask
from puller.system import files
from puller.system.directories import make_directory
from puller.system.paths import state_home

_KEPT = 30 * 24 * 3600.0
"""Seconds for which unused files stay."""
_LONGEST = 64 << 10


class HostState:
    """The files of a worker in the state folder of its user; other processes of this host share them."""

    def __init__(self, folder: Path | None = None) -> None:
        """Create the folder, and remove what is old; raises UsageError if it cannot be used."""
        self.folder = folder or state_home() / "worker"
        try:
            make_directory(self.folder)
        except OSError as error:
            raise UsageError(str(error.strerror or error)) from None
        for path in self.folder.glob("*.*"):
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - _KEPT:
                    path.unlink()

    @contextmanager
    def image(self, task: PullTask, seconds: float) -> Iterator["Begun"]:
        """Hold the lock of an image in the block, so that a task that is delivered twice is not pulled twice at once.

        The kernel releases it when the process dies. Raises TimeoutError after `seconds`, and OSError.
        """
        name = sha256(f"{task.reference} {task.platform}".encode()).hexdigest()[:32]
        with files.locked(self.folder / f"{name}.lock", seconds):
            yield Begun(self.folder / f"{name}.json", f"{task.run} {task.attempt}")


class Begun:
    """How often a task was begun and did not end; used under the lock of its image."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key

    def count(self) -> int:
        """Count one more, on the disk, and return the number."""
        counts = self._read()
        number = counts.get(self._key, 0) + 1
        files.write(self._path, json.dumps({**counts, self._key: number}), private=True)
        return number

    def forget(self) -> None:
        """Count the task no more: it has ended."""
        counts = self._read()
        if counts.pop(self._key, None) is not None and counts:
            files.write(self._path, json.dumps(counts), private=True)
        elif not counts:
            self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, int]:
        """Return the counts; a file that is cut counts as none."""
        try:
            counts = json.loads(files.read(self._path, _LONGEST))
            return {str(key): int(number) for key, number in counts.items()}
        except (OSError, ValueError, AttributeError, TypeError, UsageError):
            return {}
