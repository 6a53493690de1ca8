"""The threads of a run, shared among its registries, so that a slow registry does not occupy those of another.

With semaphores inside a simple pool, the images of one slow registry end up occupying every thread.
"""

from collections.abc import Callable, Mapping
from threading import BoundedSemaphore

from puller.registry.health import RegistryHealth
from puller.system.threads import Threads

_CHECKS, _ALL_CHECKS = 8, 64
"""Checks in flight on one registry and on all: each is a HEAD, which is cheap and takes one round trip."""
_PULLS = 256
"""Threads for pulls; most of them only wait, for a slot or for the end of a rate limit."""


class RegistryPools:
    """The threads for the pulls and checks of a run, and the slots that all pulls share."""

    def __init__(
        self,
        jobs: int,
        per_registry: int | None = None,
        *,
        widths: Mapping[str, int] | None = None,
        health: Callable[[str], RegistryHealth] = RegistryHealth,
    ) -> None:
        """Allow `jobs` pulls over all registries, and `per_registry` on each registry that `widths` does not name."""
        bounded = {name: min(jobs, width) for name, width in (widths or {}).items()}
        self.pulls = Threads("pull", min(jobs, per_registry or jobs), max(_PULLS, jobs), bounded)
        self.checks = Threads("check", _CHECKS, _ALL_CHECKS)
        self.slots = BoundedSemaphore(jobs)
        """Acquired for each attempt, and released while a pull waits for its next one."""
        self._health = health
        self._healths: dict[str, RegistryHealth] = {}

    def health(self, registry: str) -> RegistryHealth:
        """Return the health of a registry, the same in the whole run."""
        return self._healths.get(registry) or self._healths.setdefault(registry, self._health(registry))

    def close(self) -> None:
        """Start nothing more and wait for nothing."""
        self.checks.close()
        self.pulls.close()
