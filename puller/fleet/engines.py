"""Hosts that lead to one engine by different names: the first of them pulls, and the others wait for it."""

from threading import Event, Lock
from typing import Generic, TypeVar

from puller.cancellation import Cancellation

T = TypeVar("T")

_POLLING = 0.1


class SharedEngines(Generic[T]):
    """What came of each engine, by the ID that it reports; thread-safe. `T` is what comes of a host."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._names: dict[str, list[str]] = {}
        self._ends: dict[str, Event] = {}
        self._results: dict[str, T] = {}

    @property
    def shared(self) -> tuple[tuple[str, ...], ...]:
        """The names of hosts that lead to one engine, the first of them first."""
        with self._lock:
            return tuple(tuple(names) for names in self._names.values() if len(names) > 1)

    def first(self, identity: str | None, host: str, cancel: Cancellation) -> T | None:
        """Wait until the first host of an engine has ended, and return what came of it.

        Returns None at once for the first host itself, and for engines without an ID. Raises CancelledError.
        """
        if not identity:
            return None
        with self._lock:
            names = self._names.setdefault(identity, [])
            names.append(host)
            first = names[0]
            end = self._ends.setdefault(first, Event())
        if first == host:
            return None
        while not end.wait(_POLLING):
            cancel.check()
        return self._results[first]

    def ended(self, host: str, result: T) -> None:
        """Note what came of a host."""
        with self._lock:
            self._results[host] = result
            end = self._ends.get(host)
        if end:
            end.set()
