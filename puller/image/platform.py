"""Which image platforms a platform can run, and which entry of an image index an engine chooses."""

from collections.abc import Iterator, Sequence

from puller.image.manifest import Descriptor
from puller.image.reference import Platform

_ALSO_RUNS = {"amd64": "386", "arm64": "arm"}
"""An architecture and the older one that it also runs (containerd's platforms package, "platformVector")."""
_OLDEST_ARM = 5


def can_run(platform: Platform, image: Platform) -> bool:
    """Tell whether an engine of one platform accepts an image of another: the same, or an older compatible one.

    A missing variant matches any: many images for `arm` have none.
    """
    if platform.os != image.os:
        return False
    if platform.architecture != image.architecture:
        return _ALSO_RUNS.get(platform.architecture) == image.architecture
    return platform.variant is None or image.variant is None or image.variant <= platform.variant


def is_same(requested: Platform, image: Platform) -> bool:
    """Tell whether an image has the platform that the user requested, in the same variant or an older one."""
    return requested.architecture == image.architecture and can_run(requested, image)


def fits(image: Platform, requested: Platform | None, own: Platform | None) -> bool:
    """Tell whether an image has the requested platform or, if none was requested, one that the engine can run.

    `own` is the engine's platform; None if the engine does not report it.
    """
    return is_same(requested, image) if requested else own is None or can_run(own, image)


def not_for(platform: Platform | None, image: Platform) -> str:
    """Say that an image does not fit."""
    return f"the image is for {image}, not for {platform}"


def best_entry(entries: Sequence[Descriptor], platform: Platform) -> Descriptor | None:
    """Choose the index entry that an engine pulls for a platform; an entry without a platform is the last choice."""
    candidates = (*_runnable(platform), None)
    return next((entry for candidate in candidates for entry in entries if entry.platform == candidate), None)


def _runnable(platform: Platform) -> Iterator[Platform]:
    """List what a platform can run, best first, as containerd's `platforms.Only` does."""
    yield platform
    system, machine, variant = platform.os, platform.architecture, platform.variant
    if machine == "amd64":
        yield from (Platform(system, machine, f"v{older}") for older in range(_level(variant, 1) - 1, 1, -1))
    if variant and machine in _ALSO_RUNS:
        yield Platform(system, machine)
    if machine == "amd64":
        yield Platform(system, "386")
    elif machine in ("arm", "arm64"):
        newest = 8 if machine == "arm64" else _level(variant, 7) - 1
        yield from (Platform(system, "arm", f"v{level}") for level in range(newest, _OLDEST_ARM - 1, -1))


def _level(variant: str | None, default: int) -> int:
    """Read `v7` as 7, and anything unknown as 0."""
    digits = (variant or f"v{default}").removeprefix("v").partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 3 else 0  # noqa: PLR2004
