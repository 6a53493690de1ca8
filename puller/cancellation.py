"""Cancellation as a tree: cancelling a node cancels its children, and hooks stop the work in flight."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import TypeVar
from weakref import WeakSet

from puller.errors import CancelledError

T = TypeVar("T")

_TICK = 0.2  # seconds between two checks for an interrupt


class Cancellation:
    """Stops work, once and permanently; thread-safe. A child is cancelled with its parent, but not the reverse.

    A pull in flight registers a hook that stops it (closes a socket, ends a process), because a thread that waits for
    an engine cannot check a flag.
    """

    def __init__(self, parent: "Cancellation | None" = None) -> None:
        """Create a root, or a child of `parent`, which is cancelled at once if the parent already is."""
        self._event = Event()
        self._lock = Lock()
        self._hooks: dict[object, Callable[[], None]] = {}
        self._children: WeakSet[Cancellation] = WeakSet()
        self.reason = ""  # why the work was cancelled, as text for a report; empty before
        if parent is not None:
            parent.add_child(self)

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def cancel(self, reason: str) -> None:
        """Cancel the work; later calls are ignored. All hooks are called, even if one raises."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            hooks, children = list(self._hooks.values()), list(self._children)
        for child in children:
            child.cancel(reason)
        for hook in hooks:
            _run(hook)

    def check(self) -> None:
        """Raise CancelledError if the work is cancelled."""
        if self._event.is_set():
            raise CancelledError(self.reason)

    def sleep(self, seconds: float) -> None:
        """Sleep; raise CancelledError as soon as the work is cancelled."""
        self._event.wait(seconds)
        self.check()

    @contextmanager
    def hook(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call `stop` from the cancelling thread while the block runs, or at once if already cancelled."""
        key = object()
        with self._lock:
            self._hooks[key] = stop
            already = self._event.is_set()
        try:
            if already:
                _run(stop)
            yield
        finally:
            with self._lock:
                self._hooks.pop(key, None)

    def add_child(self, child: "Cancellation") -> None:
        """Cancel the child together with this node, or at once if this node already is."""
        with self._lock:
            self._children.add(child)
            already = self._event.is_set()
        if already:
            child.cancel(self.reason)


def interruptible(work: Callable[[], T], cancel: Cancellation) -> T:
    """Run `work` in another thread; a KeyboardInterrupt in this thread cancels it, and its result is still returned.

    The work must return soon after it is cancelled. Python runs signal handlers in the main thread only, and wakes it
    for a signal only during a wait with a time limit.
    """
    result: Future[T] = Future()
    once = Lock()

    def run() -> None:
        if not once.acquire(blocking=False):  # an interrupt during `start` makes the thread start twice
            return
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
            result.set_exception(error)

    thread = Thread(target=run, name="session", daemon=True)
    while True:
        try:
            if thread.ident is None:
                try:
                    thread.start()
                except RuntimeError:  # the host gives no more threads: an interrupt then ends the work
                    run()
            if wait((result,), timeout=_TICK).done:
                return result.result()
        except KeyboardInterrupt as interrupt:
            cancel.cancel(str(interrupt) or "interrupted")


def _run(hook: Callable[[], None]) -> None:
    with suppress(Exception):  # the work may have ended already
        hook()
