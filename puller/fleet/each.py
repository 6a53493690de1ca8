"""The same call for many hosts, some of them at the same time."""

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from typing import TypeVar

from puller.fleet.hosts import FleetHost
from puller.system.threads import Threads

T = TypeVar("T")
_TELL = 5.0
"""Seconds between two calls of `on_wait`."""


def for_each(
    hosts: Sequence[FleetHost],
    call: Callable[[FleetHost], T],
    *,
    parallel: int,
    on_wait: Callable[[int], None] = lambda _: None,
) -> tuple[T, ...]:
    """Call a function for all hosts, `parallel` at a time, and return the results in the same order.

    `on_wait` gets the number of hosts that are done, every few seconds. Raises what `call` raises.
    """
    threads = Threads("host", parallel, parallel)
    try:
        futures = [threads.submit("", call, host) for host in hosts]
        while waiting := wait(futures, timeout=_TELL).not_done:
            on_wait(len(futures) - len(waiting))
        return tuple(future.result() for future in futures)
    finally:
        threads.close()
