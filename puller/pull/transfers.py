"""The bytes of layers, counted once: pulls of images that share a layer all report it while it is in flight."""

from collections.abc import Mapping
from threading import Lock


class Transfers:
    """Counts the layers of all pulls of a run; thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._fetched: dict[str, int] = {}
        self._pulls: dict[str, set[object]] = {}
        """By layer, the pulls in flight that have reported it."""

    def new(self, pull: object, layers: Mapping[str, int]) -> int:
        """Return how many bytes of these are new, given the bytes of each layer that a pull has reported so far.

        A layer that nobody was fetching is either continued, or fetched from its first byte again.
        """
        new = 0
        with self._lock:
            for layer, fetched in layers.items():
                before, pulls = self._fetched.get(layer, 0), self._pulls.setdefault(layer, set())
                if not pulls and fetched < before:
                    before = 0
                pulls.add(pull)
                new += max(0, fetched - before)
                self._fetched[layer] = max(fetched, before)
        return new

    def end(self, pull: object) -> None:
        with self._lock:
            for layer in [layer for layer, pulls in self._pulls.items() if pull in pulls]:
                self._pulls[layer].discard(pull)
                if not self._pulls[layer]:
                    del self._pulls[layer]
