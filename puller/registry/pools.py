"""A thread pool for each registry, so that a slow registry occupies no thread of another.

With semaphores inside a single pool, the images of one slow registry end up occupying every thread.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore, Lock
from typing import ParamSpec, TypeVar

from puller.registry.health import RegistryHealth

P = ParamSpec("P")
T = TypeVar("T")


_CHECKS = 8
"""Checks in flight on one registry: each is a HEAD, which is cheap for the registry and takes one round trip."""


class RegistryPool:
    """The threads for one registry, and its health."""

    def __init__(self, registry: str, width: int, health: RegistryHealth) -> None:
        """Run up to `width` pulls at once; threads start as they are needed."""
        self.registry = registry
        self.health = health
        self._pulls = ThreadPoolExecutor(width, thread_name_prefix=f"pull-{registry}")
        self._checks = ThreadPoolExecutor(_CHECKS, thread_name_prefix=f"check-{registry}")

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a pull. If the host cannot start a thread, the future holds that error."""
        return _submit(self._pulls, function, *args, **kwargs)

    def submit_check(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a cheap call, which waits for no pull; errors as for `submit`."""
        return _submit(self._checks, function, *args, **kwargs)

    def close(self) -> None:
        """Start nothing more and wait for nothing."""
        self._checks.shutdown(wait=False, cancel_futures=True)
        self._pulls.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ThreadPoolExecutor, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    try:
        return pool.submit(function, *args, **kwargs)
    except RuntimeError as error:
        failed: Future[T] = Future()
        failed.set_exception(error)
        return failed


class RegistryPools:
    """The pools of a run, each made on first use, and the slots that all of them share."""

    def __init__(
        self,
        jobs: int,
        per_registry: int | None = None,
        *,
        widths: Mapping[str, int] | None = None,
        health: Callable[[str], RegistryHealth] = RegistryHealth,
    ) -> None:
        """Allow `jobs` pulls over all registries, and `per_registry` on each registry that `widths` does not name."""
        self._jobs = jobs
        self._per_registry = per_registry or jobs
        self._widths = widths or {}
        self._health = health
        self._lock = Lock()
        self._pools: dict[str, RegistryPool] = {}
        self.slots = BoundedSemaphore(jobs)
        """Acquired for each attempt, and released while a pull waits for its next one."""

    def of(self, registry: str) -> RegistryPool:
        with self._lock:
            pool = self._pools.get(registry)
            if pool is None:
                width = min(self._jobs, self._widths.get(registry.lower(), self._per_registry))
                pool = self._pools[registry] = RegistryPool(registry, width, self._health(registry))
            return pool

    def close(self) -> None:
        for pool in list(self._pools.values()):
            pool.close()
