"""Cancellation: a tree of flags, each of which stops the work below it, with hooks that break off what is in flight."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from threading import Event, Lock
from typing import TypeVar
from weakref import WeakSet

from puller.errors import CancelledError

T = TypeVar("T")

_TICK = 0.2
"""Seconds within which an interrupt is noticed."""


class Cancellation:
    """Stops work once, for good; thread-safe. A child is cancelled with its parent, and never the other way round.

    A pull in flight registers a hook that breaks it off (closes a socket, ends a process), because a thread that waits
    for an engine cannot look at a flag.
    """

    def __init__(self, parent: "Cancellation | None" = None) -> None:
        """Make a root, or a child of `parent`; the child of a cancelled parent is cancelled."""
        self._event = Event()
        self._lock = Lock()
        self._hooks: dict[object, Callable[[], None]] = {}
        self._children: WeakSet[Cancellation] = WeakSet()
        self._reason = ""
        if parent is not None:
            parent.add_child(self)

    @property
    def reason(self) -> str:
        """Why the work was stopped, in words for a report; empty while it goes on."""
        return self._reason

    @property
    def requested(self) -> bool:
        """Whether the work has been told to stop."""
        return self._event.is_set()

    def cancel(self, reason: str) -> None:
        """Stop the work; the first reason stays. A hook that raises does not keep the others from running."""
        with self._lock:
            if self._event.is_set():
                return
            self._reason = reason
            self._event.set()
            hooks, children = list(self._hooks.values()), list(self._children)
        for child in children:
            child.cancel(reason)
        for hook in hooks:
            _run(hook)

    def check(self) -> None:
        """Raise CancelledError when the work has been told to stop."""
        if self._event.is_set():
            raise CancelledError(self._reason)

    def sleep(self, seconds: float) -> None:
        """Wait; raise CancelledError at once when the work is told to stop meanwhile."""
        self._event.wait(seconds)
        self.check()

    @contextmanager
    def hook(self, stop: Callable[[], None]) -> Iterator[None]:
        """Have `stop` called from the cancelling thread while the block runs, or now when it is too late."""
        key = object()
        with self._lock:
            self._hooks[key] = stop
            late = self._event.is_set()
        try:
            if late:
                _run(stop)
            yield
        finally:
            with self._lock:
                self._hooks.pop(key, None)

    def add_child(self, child: "Cancellation") -> None:
        """Cancel the child with this one; at once, where this one is cancelled already."""
        with self._lock:
            self._children.add(child)
            late = self._event.is_set()
        if late:
            child.cancel(self._reason)


def interruptible(work: Callable[[], T], cancel: Cancellation) -> T:
    """Do the work in another thread, and let a KeyboardInterrupt of this one cancel it instead of tearing it apart.

    The work is still waited for: it is expected to return soon after it was cancelled. Python runs the handlers of
    signals in the main thread only, and wakes it for a signal only where it waits with a time limit.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="session")
    future = executor.submit(work)
    executor.shutdown(wait=False)
    while not future.done():
        try:
            wait((future,), timeout=_TICK)
        except KeyboardInterrupt as interrupt:
            cancel.cancel(str(interrupt) or "interrupted")
    return future.result()


def _run(hook: Callable[[], None]) -> None:
    with suppress(Exception):  # what is being stopped may already be gone; there is nobody to tell
        hook()
