"""The free space on the disk where an engine keeps its images."""

import os
from typing import NamedTuple

from puller.engine.model import EngineInfo
from puller.text import clean, format_bytes

ELSEWHERE = "the engine is not known to be on this host"
"""Why the disk is not looked at, and nothing is prefetched; see `EngineAddress.local`."""
_AMPLE = 40 << 30
"""Free bytes that are enough for one image; the largest images in common use need less, unpacked."""
_AMPLE_EACH = 4 << 30
"""Free bytes that each further image adds to that."""
MORE_SPACE = "try --make-room, `puller prune` or `docker system df`"


class DiskShortage(NamedTuple):
    """The reason why images cannot be pulled."""

    path: str
    needed: int
    """Bytes, in whatever order the pulls run; images of unknown size are not included."""
    free: int
    images: int
    """How many absent images were counted."""

    def __str__(self) -> str:
        """Return the message for the user."""
        noun = "1 image needs" if self.images == 1 else f"{self.images} images need"
        return (
            f"not enough disk: {noun} about {format_bytes(self.needed)} in {clean(self.path)},"
            f" {format_bytes(self.free)} are free"
        )


def free_bytes(facts: EngineInfo) -> tuple[int | None, str]:
    """Return the free bytes at the engine's data root, or None and the reason why they are not known."""
    if facts.data_root is None:
        return None, "the engine does not report its data root"
    if not facts.local:
        return None, ELSEWHERE
    try:
        status = os.statvfs(facts.data_root)
    except OSError as error:
        return None, f"the data root {facts.data_root} cannot be examined: {error.strerror}"
    return status.f_bavail * status.f_frsize, ""


def has_ample_space(facts: EngineInfo, images: int) -> bool:
    """Tell whether this number of images almost certainly fits; then their sizes need not be asked for."""
    free, _ = free_bytes(facts)
    return free is not None and free >= _AMPLE + _AMPLE_EACH * (images - 1)
