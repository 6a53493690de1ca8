"""A question that is asked before its answer is wanted."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def ahead(ask: Callable[[], T]) -> Callable[[], T]:
    """Ask once, now, in a thread of its own; what is returned waits for the answer, or raises what asking raised."""
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is wanted
            answer.set_exception(error)

    try:
        Thread(target=work, name="ahead", daemon=True).start()
    except RuntimeError:  # the host has no thread to spare
        work()
    return answer.result
