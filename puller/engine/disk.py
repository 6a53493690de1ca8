"""The free disk at an engine's data root; light, because every pull looks at it."""

import os

from puller.engine.model import EngineInfo

_WIDE = 40 << 30
"""Free bytes at which a disk counts as wide for one image; the largest images in common use unpack to less."""
_WIDE_EACH = 4 << 30
"""What each further image adds to that."""


def free_bytes(facts: EngineInfo) -> tuple[int | None, str]:
    """Say how much is free where the engine keeps its images; where that cannot be seen, None and the reason."""
    if facts.data_root is None:
        return None, "the engine does not say where it keeps images"
    if not facts.local:
        return None, "the engine is on another host"
    try:
        seen = os.statvfs(facts.data_root)
    except OSError as error:
        return None, f"it cannot be seen from here: {error.strerror}"
    return seen.f_bavail * seen.f_frsize, ""


def is_wide(facts: EngineInfo, images: int) -> bool:
    """Tell whether so many images will fit in all likelihood, without asking how large they are."""
    free, _ = free_bytes(facts)
    return free is not None and free >= _WIDE + _WIDE_EACH * (images - 1)
