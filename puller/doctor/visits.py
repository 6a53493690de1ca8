"""Checks side by side, each with a time limit of its own: whoever never answers holds nobody up."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

from puller.doctor.finding import About, Finding

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at."""

    subject: str
    act: Callable[[], Iterable[Finding]]
    """Finds one thing after the other; it may hang."""
    seconds: float
    """Counted from the start of all checks."""
    fix: str = ""
    """What to do when it hangs."""


def together(checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Make all checks at once and return what they found, in the order of the checks.

    What a check found before its time was up is kept.
    """
    begun = monotonic()
    visits = [_Visit(check) for check in checks]
    return tuple(finding for visit in visits for finding in visit.findings(begun + visit.check.seconds))


def later(act: Callable[[], _T]) -> Future[_T]:
    """Call a function in a thread that no exit of the program waits for."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:  # noqa: BLE001 - it is raised to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name="doctor", daemon=True).start()
    return future


class _Visit:
    def __init__(self, check: Check) -> None:
        self.check = check
        self._found: list[Finding] = []
        self._done = later(self._make)

    def findings(self, deadline: float) -> list[Finding]:
        about = About(self.check.subject)
        try:
            self._done.result(max(0.0, deadline - monotonic()))
        except TimeoutError:
            late = about.failed("answer", f"no answer within {self.check.seconds:g}s", self.check.fix)
            return [*self._found, late]
        except Exception as error:  # noqa: BLE001 - one check that cannot be made must not cost the others
            broken = about.failed("check", f"could not be made: {type(error).__name__}: {error}", self.check.fix)
            return [*self._found, broken]
        return self._found

    def _make(self) -> None:
        for finding in self.check.act():
            self._found.append(finding)  # one by one: it is kept, should the next hang
