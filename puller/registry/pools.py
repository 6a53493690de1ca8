"""A thread pool for each registry, called its lane, so that a slow registry holds no thread of another.

With semaphores inside a single pool, the images of one slow registry end up holding every thread.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore, Lock
from typing import ParamSpec, TypeVar

from puller.registry.health import RegistryHealth

P = ParamSpec("P")
T = TypeVar("T")


_LOOKS = 8
"""Looks in flight on one registry: a HEAD costs it next to nothing, and takes the time of a round trip."""


class Lane:
    """One registry's threads, and its health."""

    def __init__(self, registry: str, width: int, health: RegistryHealth) -> None:
        """Let `width` calls run at once; threads start as they are needed."""
        self.registry = registry
        self.health = health
        self._pool = ThreadPoolExecutor(width, thread_name_prefix=f"pull-{registry}")
        self._looks = ThreadPoolExecutor(_LOOKS, thread_name_prefix=f"look-{registry}")

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call; if the host has no thread to spare, its future has failed."""
        return _queued(self._pool, function, *args, **kwargs)

    def look(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a cheap call ahead of the others: what is up to date waits for no pull."""
        return _queued(self._looks, function, *args, **kwargs)

    def close(self) -> None:
        """Start nothing more and wait for nothing."""
        self._looks.shutdown(wait=False, cancel_futures=True)
        self._pool.shutdown(wait=False, cancel_futures=True)


def _queued(pool: ThreadPoolExecutor, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    try:
        return pool.submit(function, *args, **kwargs)
    except RuntimeError as error:
        failed: Future[T] = Future()
        failed.set_exception(error)
        return failed


class Lanes:
    """The lanes of a run, made when a registry is first met, and the slots that all of them share."""

    def __init__(
        self,
        jobs: int,
        per_registry: int | None = None,
        *,
        widths: Mapping[str, int] | None = None,
        health: Callable[[str], RegistryHealth] = RegistryHealth,
    ) -> None:
        """Let `jobs` pulls be in flight over all registries, and `per_registry` on any one that `widths` does not name.

        `health` gives that of a registry, which the lane shares with everybody who asks there.
        """
        self._jobs = jobs
        self._per_registry = per_registry or jobs
        self._widths = widths or {}
        self._health = health
        self._lock = Lock()
        self._lanes: dict[str, Lane] = {}
        self.slots = BoundedSemaphore(jobs)
        """Held by a pull while it is in flight, and not while it waits for its next attempt."""

    def of(self, registry: str) -> Lane:
        """Return the registry's lane."""
        with self._lock:
            lane = self._lanes.get(registry)
            if lane is None:
                width = min(self._jobs, self._widths.get(registry.lower(), self._per_registry))
                lane = self._lanes[registry] = Lane(registry, width, self._health(registry))
            return lane

    def close(self) -> None:
        """Start nothing more and wait for nothing."""
        for lane in list(self._lanes.values()):
            lane.close()
