"""Threads where the host gives few or none, and descriptors for few connections."""

from resource import RLIM_INFINITY
from threading import Thread
from typing import Any

import pytest

from puller.cancellation import Cancellation, interruptible
from puller.system import threads
from puller.system.threads import Threads, affordable, start


def refuse(_: Thread) -> None:
    """Start no thread, as where the limit of processes is reached."""
    raise RuntimeError("can't start new thread")


def test_without_threads_calls_run_where_they_are_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, with their results and errors; the session does too."""
    monkeypatch.setattr(Thread, "start", refuse)
    pool, seen = Threads("x", 1, 1), list[int]()
    done = [pool.submit("a", seen.append, number) for number in range(3)]
    assert (seen, [each.result(0) for each in done]) == ([0, 1, 2], [None] * 3)
    assert isinstance(pool.submit("a", int, "x").exception(0), ValueError)
    assert start(lambda: seen.append(3), "x") is None
    assert interruptible(lambda: 7, Cancellation()) == 7


@pytest.mark.parametrize(("limit", "number"), [(RLIM_INFINITY, 64), (1024, 64), (64, 5), (32, 1), (8, 1)])
def test_connections_are_as_many_as_descriptors_allow(monkeypatch: pytest.MonkeyPatch, limit: int, number: int) -> None:
    """One at least; what is needed beside them is left over."""
    limits: Any = lambda _: (limit, limit)  # noqa: E731
    monkeypatch.setattr(threads, "getrlimit", limits)
    assert affordable(64) == number
