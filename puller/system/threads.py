"""Threads for calls that wait for something: bounded, and fewer where the host gives no more."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
from threading import Lock, Thread
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_FILES, _OTHER_FILES = 8, 20
"""Descriptors of one call (libcurl's, the engine's connection and our copies), and those of everything else."""


def affordable(number: int) -> int:
    """Return at most `number`: how many connections this process may have open at once, each with its sockets."""
    most, _ = getrlimit(RLIMIT_NOFILE)
    return number if most == RLIM_INFINITY else max(1, min(number, (most - _OTHER_FILES) // _FILES))


def start(function: Callable[[], object], name: str) -> Thread | None:
    """Start a daemon thread; None if the host gives no more threads."""
    thread = Thread(target=function, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


class Threads:
    """Runs calls in daemon threads: up to `width` for one key, begun in order, and up to `total` in all.

    A key with many calls does not keep the calls of others waiting. Where the host gives not even one thread, calls run
    in the thread that submits them.
    """

    def __init__(self, name: str, width: int, total: int, widths: Mapping[str, int] | None = None) -> None:
        """`widths` replaces `width` for single keys, in lower case."""
        self._name, self._width, self._total, self._widths = name, width, affordable(total), widths or {}
        self._lock = Lock()
        self._waiting: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}
        self._ready: deque[str] = deque()
        """The key of each call that may run now."""
        self._running: Counter[str] = Counter()
        """By key, the calls that run or are ready."""
        self._threads = 0
        self._closed = False

    def submit(self, key: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call; after `close` its future is cancelled."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                future.cancel()
                return future
            self._waiting.setdefault(key, deque()).append((future, partial(function, *args, **kwargs)))
            self._make_ready(key)
            new = bool(self._ready) and self._threads < self._total
            self._threads += new
        if new and not start(self._work, self._name):
            with self._lock:
                alone = self._threads == 1
                self._threads -= not alone
            if alone:
                self._work()
        return future

    def close(self) -> None:
        """Cancel the queued calls; running ones are not waited for."""
        with self._lock:
            self._closed = True
            waiting = [future for calls in self._waiting.values() for future, _ in calls]
            self._waiting.clear()
        for future in waiting:
            future.cancel()

    def _make_ready(self, key: str) -> None:
        if self._waiting.get(key) and self._running[key] < self._widths.get(key.lower(), self._width):
            self._running[key] += 1
            self._ready.append(key)

    def _work(self) -> None:
        """Run calls until none is ready; after each, the others of its key wait behind those of other keys."""
        while True:
            with self._lock:
                if not self._ready:
                    self._threads -= 1
                    return
                key = self._ready.popleft()
                calls = self._waiting.get(key)
                future, function = calls.popleft() if calls else (None, None)
            if future and function and future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:  # noqa: BLE001 - the future holds it for the caller
                    future.set_exception(error)
            with self._lock:
                self._running[key] -= 1
                self._make_ready(key)
