"""A lane is a pool: one for each registry, so that a slow registry holds no thread of another.

With semaphores inside a single pool, the images of one slow registry end up holding every thread.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Lanes:
    """The pools of a run, made as registries turn up, and the slots that all of them share."""

    def __init__(self, jobs: int, per_registry: int | None = None) -> None:
        """Let `jobs` pulls be in flight over all registries, and `per_registry` on any one."""
        self._width = min(jobs, per_registry or jobs)
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self.slots = BoundedSemaphore(jobs)
        """Held by a pull while it is in flight, and not while it waits for its next attempt."""

    def submit(
        self, registry: str, function: "Callable[P, T]", /, *args: "P.args", **kwargs: "P.kwargs"
    ) -> "Future[T]":
        """Queue a call on the registry's lane."""
        pool = self._pools.get(registry)
        if pool is None:
            pool = self._pools[registry] = ThreadPoolExecutor(self._width, thread_name_prefix=f"pull-{registry}")
        return pool.submit(function, *args, **kwargs)

    def close(self) -> None:
        """Start nothing more and wait for nothing."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
