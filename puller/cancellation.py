"""One flag that stops a run, and the hooks that make it stop what is already under way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock

from puller.errors import CancelledError


class Cancellation:
    """Told once, for good, that the run must stop; thread-safe.

    A pull in flight registers a hook that breaks it off (closes a socket, ends a process), because a
    thread that waits for an engine cannot look at a flag.
    """

    def __init__(self) -> None:
        self._event = Event()
        self._lock = Lock()
        self._hooks: dict[object, Callable[[], None]] = {}
        self._reason = ""

    @property
    def reason(self) -> str:
        """Why the run was stopped, in words for a report; empty while it goes on."""
        return self._reason

    @property
    def requested(self) -> bool:
        """Whether the run has been told to stop."""
        return self._event.is_set()

    def cancel(self, reason: str) -> None:
        """Stop the run; the first reason stays. A hook that raises does not keep the others from running."""
        with self._lock:
            if self._event.is_set():
                return
            self._reason = reason
            self._event.set()
            hooks = list(self._hooks.values())
        for hook in hooks:
            _run(hook)

    def check(self) -> None:
        """Raise CancelledError when the run has been told to stop."""
        if self._event.is_set():
            raise CancelledError(self._reason)

    def sleep(self, seconds: float) -> None:
        """Wait; raise CancelledError at once when the run is told to stop meanwhile."""
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


def _run(hook: Callable[[], None]) -> None:
    with suppress(Exception):  # what is being stopped may already be gone; there is nobody to tell
        hook()
