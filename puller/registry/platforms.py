"""Which entry of an image index is for a machine, in the order of preference that engines have."""

from typing import TYPE_CHECKING

from puller.reference import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from puller.registry.contents import Part

_OLDEST_ARM = 5


def best(entries: "Sequence[Part]", platform: Platform) -> "Part | None":
    """Choose the entry that an engine takes for a platform; one that names no platform is for any, but comes last."""
    for wanted in runs_on(platform):
        for entry in entries:
            if entry.platform == wanted:
                return entry
    return next((entry for entry in entries if entry.platform is None), None)


def runs_on(platform: Platform) -> "Iterator[Platform]":
    """Give what a machine of a platform can run, best first, as containerd's `platforms.Only` does."""
    yield platform
    system, machine, variant = platform.os, platform.architecture, platform.variant
    if machine == "amd64":
        yield from (Platform(system, machine, f"v{older}") for older in range(_level(variant, 1) - 1, 1, -1))
        if variant:
            yield Platform(system, machine)
        yield Platform(system, "386")
    elif machine == "arm":
        yield from _arm(system, _level(variant, 7) - 1)
    elif machine == "arm64":
        if variant:
            yield Platform(system, machine)
        yield from _arm(system, 8)


def _arm(system: str, newest: int) -> "Iterator[Platform]":
    return (Platform(system, "arm", f"v{level}") for level in range(newest, _OLDEST_ARM - 1, -1))


def _level(variant: str | None, otherwise: int) -> int:
    """Read `v7` as 7; what cannot be read is the least that there is."""
    digits = (variant or f"v{otherwise}").removeprefix("v").partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 3 else 0  # noqa: PLR2004
