"""The progress of each segment of a blob on disk, updated with every chunk, so that a killed process loses nothing.

A crash of the machine can lose data that the kernel had not written: after a reboot only synced bytes count.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

_HEAD = struct.Struct("<8s36sQQ")
"""Magic number, boot ID, size of the blob, size of a segment."""
_MAGIC = b"pull\0\0\0\1"
_MARKS = struct.Struct("<QQ")
"""For each segment: bytes written, bytes synced."""
_WRITTEN = struct.Struct("<Q")


class Segment:
    """A part of a blob that one connection fetches."""

    def __init__(self, number: int, start: int, end: int, at: int) -> None:
        self.number, self.start, self.end = number, start, end
        self.at = at
        """The end of the fetched bytes."""
        self.synced = 0
        """Bytes of it that survive a crash of the machine."""

    @property
    def whole(self) -> bool:
        return self.at >= self.end


class Journal:
    """The journal of a part; its user holds the part's lock. All methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def restore(self, segments: Sequence[Segment], size: int, length: int) -> None:
        """Set the progress of segments from an earlier run, if that had the same segments."""
        whole = _HEAD.size + _MARKS.size * len(segments)
        data = os.pread(self._file, whole, 0)
        if len(data) < whole:
            return
        magic, boot, *shape = _HEAD.unpack_from(data)
        if magic != _MAGIC or shape != [size, length]:
            return
        same_boot = boot == _boot()
        for each, (written, synced) in zip(segments, _MARKS.iter_unpack(data[_HEAD.size :]), strict=True):
            at = each.start + (written if same_boot else synced)
            if at <= each.end:
                each.at, each.synced = at, synced

    def reset(self, segments: Sequence[Segment], size: int, length: int) -> None:
        """Write the progress of all segments."""
        marks = b"".join(_MARKS.pack(each.at - each.start, each.synced) for each in segments)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, _HEAD.pack(_MAGIC, _boot(), size, length) + marks, 0)

    def record_written(self, segment: Segment) -> None:
        os.pwrite(self._file, _WRITTEN.pack(segment.at - segment.start), _place(segment))

    def record_synced(self, segment: Segment) -> None:
        os.pwrite(self._file, _MARKS.pack(segment.synced, segment.synced), _place(segment))

    def close(self) -> None:
        os.close(self._file)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def _place(segment: Segment) -> int:
    return _HEAD.size + _MARKS.size * segment.number


def _boot() -> bytes:
    """Return the ID of the machine's current boot (random(4), boot_id)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes()[:36]
    except OSError:
        return os.urandom(18).hex().encode()  # unknown: then only synced bytes count
