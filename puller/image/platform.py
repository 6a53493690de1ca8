"""Which platforms go with which: what an engine may bring, and can run, where another one was asked for."""

from collections.abc import Iterator, Sequence

from puller.image.manifest import Descriptor
from puller.image.reference import Platform

_RUNS = {"amd64": "386", "arm64": "arm"}
"""A processor and the older one whose programs it runs, as containerd's platforms package has it ("platformVector")."""


def suits(wanted: Platform, found: Platform) -> bool:
    """Tell whether an engine that wants one platform takes the other: the same, or an older relative that runs there.

    A variant that is not said stands in nobody's way: many images for `arm` say none.
    """
    if wanted.os != found.os:
        return False
    if wanted.architecture != found.architecture:
        return _RUNS.get(wanted.architecture) == found.architecture
    return wanted.variant is None or found.variant is None or found.variant <= wanted.variant


def is_asked_for(wanted: Platform, found: Platform) -> bool:
    """Tell whether this is the platform that somebody asked for by name; a variant that is not said may be any."""
    same = (wanted.os, wanted.architecture) == (found.os, found.architecture)
    return same and (wanted.variant == found.variant or None in (wanted.variant, found.variant))


_OLDEST_ARM = 5


def best(entries: Sequence[Descriptor], platform: Platform) -> Descriptor | None:
    """Choose the entry that an engine takes for a platform; one that names no platform is for any, but comes last."""
    for wanted in runs_on(platform):
        for entry in entries:
            if entry.platform == wanted:
                return entry
    return next((entry for entry in entries if entry.platform is None), None)


def runs_on(platform: Platform) -> Iterator[Platform]:
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


def _arm(system: str, newest: int) -> Iterator[Platform]:
    return (Platform(system, "arm", f"v{level}") for level in range(newest, _OLDEST_ARM - 1, -1))


def _level(variant: str | None, otherwise: int) -> int:
    """Read `v7` as 7; what cannot be read is the least that there is."""
    digits = (variant or f"v{otherwise}").removeprefix("v").partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 3 else 0  # noqa: PLR2004
