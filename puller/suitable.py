"""Which platforms go with which: what an engine may bring, and can run, where another one was asked for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from puller.reference import Platform

_RUNS = {"amd64": "386", "arm64": "arm"}
"""A processor and the older one whose programs it runs, as containerd's platforms package has it ("platformVector")."""


def suits(wanted: "Platform", found: "Platform") -> bool:
    """Tell whether an engine that wants one platform takes the other: the same, or an older relative that runs there.

    A variant that is not said stands in nobody's way: many images for `arm` say none.
    """
    if wanted.os != found.os:
        return False
    if wanted.architecture != found.architecture:
        return _RUNS.get(wanted.architecture) == found.architecture
    return wanted.variant is None or found.variant is None or found.variant <= wanted.variant


def is_asked_for(wanted: "Platform", found: "Platform") -> bool:
    """Tell whether this is the platform that somebody asked for by name; a variant that is not said may be any."""
    same = (wanted.os, wanted.architecture) == (found.os, found.architecture)
    return same and (wanted.variant == found.variant or None in (wanted.variant, found.variant))
