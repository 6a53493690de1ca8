"""The same call for many hosts, some of them at the same time, and why a host has no answer."""

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from typing import TypeVar

from puller.errors import EngineBusyError, EngineUnreachableError, FailureKind, PullerError
from puller.failure import Failure, classify, failure
from puller.fleet.hosts import FleetHost
from puller.system.threads import Threads

T = TypeVar("T")
_TELL = 5.0
"""Seconds between two calls of `on_wait`."""
_ADVICE = "Start the engine of the host, then run the same command again; `puller fleet check` shows more."


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


def why_not_used(error: PullerError) -> Failure:
    """Return why an engine was not used; a context that does not exist is the only wrong address with another error."""
    message = str(error)
    if isinstance(error, EngineBusyError):
        return failure(FailureKind.ENGINE_BUSY, message)
    if isinstance(error, EngineUnreachableError):
        kind = error.kind or classify(message).kind
        gone = kind in (FailureKind.UNCLASSIFIED, FailureKind.DAEMON_UNREACHABLE)
        why = failure(FailureKind.DAEMON_UNREACHABLE if gone else kind, message)
        return why._replace(advice=_ADVICE) if gone else why
    return failure(FailureKind.CONTEXT_NOT_FOUND, message)
