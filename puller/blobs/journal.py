"""How far each segment of a blob has come, written down with every chunk, so that a killed process loses nothing.

What the kernel had not yet written to the disk when the machine itself went down is another matter: after another boot
only what was synced counts.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct("<8s36sQQ")
"""What it is, the boot that wrote it, bytes of the blob and of a segment."""
_MAGIC = b"pull\0\0\0\1"
_OF_THE_BOOT = 44
"""Bytes of the head that differ after another boot."""
_MARKS = struct.Struct("<QQ")
"""Of each segment: bytes written, bytes synced."""
_WRITTEN = struct.Struct("<Q")


@dataclass(slots=True)
class Segment:
    """A stretch of a blob that one connection fetches."""

    number: int
    start: int
    end: int
    at: int
    """Up to where it has been fetched."""
    synced: int = 0
    """Bytes of it that outlive the machine."""

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.at >= self.end


class Journal:
    """One file beside a part; whoever uses it has the part's lock."""

    def __init__(self, path: Path) -> None:
        """Open or make it; raises OSError, as all that follows does."""
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def recall(self, segments: Sequence[Segment], size: int, length: int) -> None:
        """Let segments go on where an earlier run has ended, if that had the same ones of a blob of this size."""
        head, whole = _head(size, length), _HEAD.size + _MARKS.size * len(segments)
        said = os.pread(self._file, whole, 0)
        if len(said) < whole or not said.startswith(_MAGIC) or said[_OF_THE_BOOT : _HEAD.size] != head[_OF_THE_BOOT:]:
            return
        same_boot = said.startswith(head)
        for each, (written, synced) in zip(segments, _MARKS.iter_unpack(said[_HEAD.size :]), strict=True):
            at = each.start + (written if same_boot else synced)
            if at <= each.end:
                each.at, each.synced = at, synced

    def begin(self, segments: Sequence[Segment], size: int, length: int) -> None:
        """Write down all segments anew."""
        marks = b"".join(_MARKS.pack(each.at - each.start, each.synced) for each in segments)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, _head(size, length) + marks, 0)

    def wrote(self, segment: Segment) -> None:
        """Write down how far a segment has come."""
        os.pwrite(self._file, _WRITTEN.pack(segment.at - segment.start), _place(segment))

    def synced(self, segment: Segment) -> None:
        """Write down that all of a segment has reached the disk."""
        os.pwrite(self._file, _MARKS.pack(segment.synced, segment.synced), _place(segment))

    def close(self) -> None:
        """Leave it to another run."""
        os.close(self._file)

    def remove(self) -> None:
        """Leave nothing."""
        self._path.unlink(missing_ok=True)


def _head(size: int, length: int) -> bytes:
    return _HEAD.pack(_MAGIC, _boot(), size, length)


def _place(segment: Segment) -> int:
    return _HEAD.size + _MARKS.size * segment.number


def _boot() -> bytes:
    """Name this boot of the machine (random(4), boot_id)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes()[:36]
    except OSError:
        return os.urandom(18).hex().encode()  # then nothing but what was synced is believed
