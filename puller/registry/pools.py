"""A lane is a pool: one for each registry, so that a slow registry holds no thread of another.

With semaphores inside a single pool, the images of one slow registry end up holding every thread. What a registry
does to one image (asks for patience, drops the connection) is remembered on its lane, and no other.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import BoundedSemaphore, Lock
from typing import ParamSpec, TypeVar

from puller.cancellation import Cancellation
from puller.errors import FailureKind
from puller.failure import failure
from puller.failure.retry import AttemptFailedError
from puller.registry.health import Breaker, Cooldown

P = ParamSpec("P")
T = TypeVar("T")


_LOOKS = 8
"""Looks in flight on one registry: a HEAD costs it next to nothing, and takes the time of a round trip."""


class Lane:
    """One registry's threads, and how it is with that registry."""

    def __init__(self, registry: str, width: int, breaker: Breaker) -> None:
        """Let `width` calls run at once; threads start as they are needed."""
        self.registry = registry
        self.breaker = breaker
        self.cooldown = Cooldown()
        self._pool = ThreadPoolExecutor(width, thread_name_prefix=f"pull-{registry}")
        self._looks = ThreadPoolExecutor(_LOOKS, thread_name_prefix=f"look-{registry}")

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call; one for which the host gives no thread comes back as failed."""
        return _queued(self._pool, function, *args, **kwargs)

    def look(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call that is cheap and ahead of the others: what is up to date waits for no pull."""
        return _queued(self._looks, function, *args, **kwargs)

    @property
    def unwell(self) -> bool:
        """Whether the registry wants to be left alone, or counts as down."""
        return bool(self.cooldown.left) or self.breaker.open

    def await_turn(self, cancel: Cancellation, too_long: Callable[[float], bool]) -> None:
        """Wait while the registry wants to be left alone; fail at once where that is `too_long`, or it is down.

        Raises AttemptFailedError, and CancelledError when the run is told to stop.
        """
        cancel.check()
        while left := self.wait_left(too_long):
            cancel.sleep(left)
        if not self.breaker.admits():
            last = self.breaker.last
            message = f"{self.registry} does not answer" + (f"; the last failure: {last.message}" if last else "")
            raise AttemptFailedError(failure(FailureKind.REGISTRY_UNAVAILABLE, message), final=True)

    def wait_left(self, too_long: Callable[[float], bool]) -> float:
        """Give the seconds for which the registry wants to be left alone; fail where they are too many."""
        left, why = self.cooldown.left, self.cooldown.why
        if why and too_long(left):
            raise AttemptFailedError(replace(why, wait=left, until=self.cooldown.until), final=True)
        return left

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
    """The lanes of a run, made as registries turn up, and the slots that all of them share."""

    def __init__(
        self,
        jobs: int,
        per_registry: int | None = None,
        *,
        widths: Mapping[str, int] | None = None,
        breaker: int = 5,
        reach: Callable[[str], bool] = lambda _registry: True,
    ) -> None:
        """Let `jobs` pulls be in flight over all registries, and `per_registry` on any one that `widths` does not name.

        After `breaker` connection failures in a row `reach(registry)` is asked before each further try.
        """
        self._jobs = jobs
        self._per_registry = per_registry or jobs
        self._widths = widths or {}
        self._breaker = breaker
        self._reach = reach
        self._lock = Lock()
        self._lanes: dict[str, Lane] = {}
        self.slots = BoundedSemaphore(jobs)
        """Held by a pull while it is in flight, and not while it waits for its next attempt."""

    def of(self, registry: str) -> Lane:
        """Give the registry's lane."""
        with self._lock:
            lane = self._lanes.get(registry)
            if lane is None:
                breaker = Breaker(self._breaker, lambda: self._reach(registry))
                width = min(self._jobs, self._widths.get(registry.lower(), self._per_registry))
                lane = self._lanes[registry] = Lane(registry, width, breaker)
            return lane

    def close(self) -> None:
        """Start nothing more and wait for nothing."""
        for lane in list(self._lanes.values()):
            lane.close()
