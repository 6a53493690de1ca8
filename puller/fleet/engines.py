"""Hosts that lead to one engine by different names: the first of them pulls, and the others wait for it.

Then they find everything there. Nothing is taken on trust: hosts that were cloned may have engines with one ID.
"""

from threading import Event, Lock

from puller.cancellation import Cancellation
from puller.engine.model import EngineInfo

_POLLING = 0.1


class SharedEngines:
    """Which hosts lead to one engine, as far as engines tell; thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._names: dict[tuple[str, str], list[str]] = {}
        self._ends: dict[str, Event] = {}

    @property
    def shared(self) -> tuple[tuple[str, ...], ...]:
        """The names of hosts that lead to one engine, the first of them first."""
        with self._lock:
            return tuple(tuple(names) for names in self._names.values() if len(names) > 1)

    def wait(self, engine: EngineInfo, host: str, cancel: Cancellation) -> None:
        """Wait until the first host of an engine has ended; not for the first itself. Raises CancelledError."""
        if not engine.own_name:
            return
        with self._lock:
            names = self._names.setdefault(engine.own_name, [])
            names.append(host)
            first = names[0]
            end = self._ends.setdefault(first, Event())
        while host != first and not end.wait(_POLLING):
            cancel.check()

    def ended(self, host: str) -> None:
        """Note that a host has ended."""
        with self._lock:
            end = self._ends.get(host)
        if end:
            end.set()
