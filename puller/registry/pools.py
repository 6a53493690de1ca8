"""The threads of a run, shared among its registries, so that a slow registry does not occupy those of another.

With semaphores inside a simple pool, the images of one slow registry end up occupying every thread.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from threading import BoundedSemaphore
from types import MappingProxyType
from typing import Protocol

from puller.registry.health import RegistryHealth
from puller.system.threads import Threads

_CHECKS, _ALL_CHECKS = 8, 64
"""Checks in flight on one registry and on all: each is a HEAD, which is cheap and takes one round trip."""
_PULLS = 256
"""Threads for pulls; most of them only wait, for a slot or for the end of a rate limit."""


class Slots(Protocol):
    """The pulls that several sessions may have in flight at a registry, in this process or in those of a fleet."""

    def acquire(self, blocking: bool = True, /) -> bool:  # noqa: FBT001, FBT002 - as semaphores have it
        """Take a slot; return whether it was taken. Raises CancelledError if the session was cancelled meanwhile."""

    def release(self) -> None:
        """Give back a slot that was taken."""


class SharedLimits:
    """What several sessions share: the pulls in flight from single registries, and the threads that each may have."""

    def __init__(
        self, registries: Mapping[str, int] = MappingProxyType({}), *, pulls: int = _PULLS, checks: int = _ALL_CHECKS
    ) -> None:
        """`registries` are the most pulls from a registry over all sessions; threads are for one session."""
        self._slots = {name.lower(): BoundedSemaphore(number) for name, number in registries.items()}
        self.pulls, self.checks = pulls, checks

    def slots(self, registry: str) -> Slots | None:
        """Return the slots of a registry; None for one without a limit."""
        return self._slots.get(registry.lower())


class _BothSlots(AbstractContextManager[None]):
    """Holds a slot of the session and one of the registry; while it waits for one, it does not hold the other."""

    def __init__(self, *slots: Slots) -> None:
        self._slots = slots

    def __enter__(self) -> None:
        awaited, other = self._slots
        while True:
            awaited.acquire()
            if other.acquire(False):  # noqa: FBT003 - as semaphores have it
                return
            awaited.release()
            awaited, other = other, awaited

    def __exit__(self, *_: object) -> None:
        for slots in self._slots:
            slots.release()


class RegistryPools:
    """The threads for the pulls and checks of a run, and the slots that all pulls share."""

    def __init__(
        self,
        jobs: int,
        per_registry: int | None = None,
        *,
        widths: Mapping[str, int] | None = None,
        health: Callable[[str], RegistryHealth] = RegistryHealth,
        limits: SharedLimits | None = None,
    ) -> None:
        """Allow `jobs` pulls over all registries, and `per_registry` on each registry that `widths` does not name.

        `limits` are shared with other sessions.
        """
        self._limits = limits or SharedLimits()
        bounded = {name: min(jobs, width) for name, width in (widths or {}).items()}
        self.pulls = Threads("pull", min(jobs, per_registry or jobs), max(self._limits.pulls, jobs), bounded)
        self.checks = Threads("check", _CHECKS, self._limits.checks)
        self.slots = BoundedSemaphore(jobs)
        """Those of the session; see `slot`."""
        self._health = health
        self._healths: dict[str, RegistryHealth] = {}

    def slot(self, registry: str) -> AbstractContextManager[object]:
        """Return the slot for an attempt at a registry; a pull releases it while it waits for its next attempt."""
        shared = self._limits.slots(registry)
        return _BothSlots(self.slots, shared) if shared else self.slots

    def health(self, registry: str) -> RegistryHealth:
        """Return the health of a registry, the same in the whole run."""
        return self._healths.get(registry) or self._healths.setdefault(registry, self._health(registry))

    def close(self) -> None:
        """Start nothing more and wait for nothing."""
        self.checks.close()
        self.pulls.close()
