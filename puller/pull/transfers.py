"""The bytes of layers, counted once: pulls of images that share a layer all report it while it is in flight."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set as AbstractSet
from threading import Lock

from puller.image.digest import short_digest
from puller.image.manifest import Descriptor

_ROUNDING = 2 << 20
"""Bytes that an engine may not have reported of a layer."""


class Transfers:
    """Counts the layers of all pulls of a run, by the short IDs that engines print; thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._fetched: dict[str, int] = {}
        self._pulls: dict[str, set[object]] = {}
        """By layer, the pulls in flight that have reported it."""
        self._sizes: dict[str, int] = {}
        """Compressed bytes of layers, from manifests."""
        self._spent: Counter[str] = Counter()
        """By layer, the bytes fetched in all attempts."""
        self._own: dict[str, tuple[int, int | None]] = {}
        """Layers that puller downloads: the bytes that came, and all that will; None if it gave up."""
        self._claimed: Counter[str] = Counter()
        """By layer, those of puller's bytes that are in `_spent`, too: a pull has reported them."""
        self._present: set[str] = set()
        self._had: set[str] = set()
        """Those of an engine that does not say which it had, as far as its images tell."""
        self._users: Counter[str] = Counter()
        """By layer, the images with known sizes that are not finished."""

    def new(self, pull: object, layers: Mapping[str, int], whole: Iterable[str] = ()) -> int:
        """Return how many bytes of these are new, given the bytes of each layer that a pull has reported so far.

        A layer that nobody was fetching is either continued, or fetched from its first byte again. `whole` layers were
        fetched completely: they count with the size in their manifest, if it is known, nobody has counted it, and the
        bytes that the pull reports are none or nearly as many.
        """
        new = 0
        with self._lock:
            sizes = {layer: self._sizes[layer] for layer in whole if self._is_due(layer, layers.get(layer, 0))}
            for layer, fetched in {**layers, **sizes}.items():
                before, pulls = self._fetched.get(layer, 0), self._pulls.setdefault(layer, set())
                if not pulls and fetched < before:
                    before = 0
                pulls.add(pull)
                new += max(0, fetched - before)
                self._spent[_short(layer)] += max(0, fetched - before)
                if layer != _short(layer):  # puller names layers by their digests, engines by short IDs
                    self._claimed[_short(layer)] += max(0, fetched - before)
                self._fetched[layer] = max(fetched, before)
        return new

    def download(self, layers: Mapping[str, tuple[int, int | None]]) -> int:
        """Take note of layers (digests) that puller downloads itself, for whatever pull.

        Each has the bytes that came, and all that will, or None after a failure. Returns the bytes that the run has
        fetched from registries until now, by puller and by the engine.
        """
        with self._lock:
            self._own |= {_short(layer): state for layer, state in layers.items()}
            return self._spent.total() + sum(map(self._unclaimed, self._own))

    @property
    def other(self) -> int:
        """The bytes that puller has downloaded, and that no pull has reported."""
        with self._lock:
            return sum(map(self._unclaimed, self._own))

    def end(self, pull: object) -> None:
        with self._lock:
            for layer in [layer for layer, pulls in self._pulls.items() if pull in pulls]:
                self._pulls[layer].discard(pull)
                if not self._pulls[layer]:
                    del self._pulls[layer]

    def lacks(self, layers: AbstractSet[str]) -> bool:
        """Whether the size of any of these layers is unknown."""
        return not layers <= self._sizes.keys()

    def describe(self, layers: Iterable[Descriptor], had: Iterable[Descriptor] = ()) -> None:
        """Add the sizes of an image's layers, and those that the engine had; the image is not finished."""
        with self._lock:
            self._had.update(short_digest(layer.digest) for layer in had)
            sizes = {short_digest(layer.digest): layer.size for layer in layers}
            self._sizes.update(sizes)
            self._users.update(sizes.keys())

    def has(self, layers: AbstractSet[str]) -> None:
        """Take note of layers that the engine had before."""
        with self._lock:
            self._present |= layers

    def finish(self, layers: Iterable[Descriptor]) -> None:
        """Take note that a described image is finished: nothing more is fetched for it."""
        with self._lock:
            self._users.subtract({short_digest(layer.digest) for layer in layers})

    @property
    def total(self) -> int:
        """The bytes to fetch in the whole run, as far as sizes are known, and whatever was fetched already."""
        with self._lock:
            return sum(map(self._needed, self._sizes.keys() | self._spent.keys() | self._own.keys()))

    def _is_due(self, layer: str, reported: int) -> bool:
        """Whether a layer counts with its size, although a pull has reported bytes of it.

        Engines round them, by up to a megabyte; what lacks more than that was not sent.
        """
        size = self._sizes.get(layer, 0)
        return layer not in self._had and self._spent[layer] < size <= max(size * (not reported), reported + _ROUNDING)

    def _needed(self, layer: str) -> int:
        spent = self._spent[layer] + self._unclaimed(layer)
        if self._users[layer] <= 0 or (not spent and (layer in self._present or layer in self._had)):
            return spent
        _, expected = self._own.get(layer, (0, None))
        if expected is None:
            return max(spent, self._sizes[layer])
        lost = self._spent[layer] - self._claimed[layer]  # by the engine, which began with it
        return max(spent, lost + expected)

    def _unclaimed(self, layer: str) -> int:
        """Return the bytes that puller has downloaded and no pull has reported."""
        return max(0, self._own.get(layer, (0, None))[0] - self._claimed[layer])


def _short(layer: str) -> str:
    return short_digest(layer) or layer
