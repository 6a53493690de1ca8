"""Waiting for work while the main thread stays awake."""

from collections.abc import Sequence
from concurrent.futures import ALL_COMPLETED, Future, wait
from threading import Event, Thread
from time import monotonic
from typing import Any

_TICK = 0.2
"""Seconds within which a signal is heard."""


def wait_awake(futures: Sequence[Future[Any]], *, until: float | None = None) -> bool:
    """Wait for all and serve signals meanwhile; False when it is `until`, on the monotonic clock, before all are done.

    Python runs a signal's handler in the main thread, and a signal that another thread receives does not wake a main
    thread that waits without a time limit: Ctrl-C would be heard when all is done.
    """
    over = Event()

    def watch() -> None:
        wait(futures, return_when=ALL_COMPLETED)
        over.set()

    Thread(target=watch, name="wait", daemon=True).start()
    while not over.wait(_TICK):
        if until is not None and monotonic() >= until:
            return False
    return True
