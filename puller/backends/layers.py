"""The layers of one pull: what each is at, and what that makes of the whole."""

from puller.events import Phase

_FETCHED = ("Download complete", "Pull complete", "Verifying Checksum")
_DONE = ("Pull complete", "Already exists")
_HERE = (*_FETCHED, *_DONE, "Extracting")
_MOST = 1000
"""A stream that names more layers than any image has is not believed."""


class Layers:
    """What an engine has said of each layer of an image."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, int, int]] = {}
        self._bytes: dict[str, tuple[int, int]] = {}
        self.fetched = False
        """Whether anything came from the registry."""

    def observe(self, layer: str, status: str, current: int, total: int) -> bool:
        """Take in what is said of a layer; return whether that is anything new."""
        said = (status, current, total)
        known = self._said.get(layer)
        if known == said or (known is None and len(self._said) >= _MOST):
            return False
        self._said[layer] = said
        if status == "Downloading":
            best = self._bytes.get(layer, (0, 0))
            self._bytes[layer] = (max(current, best[0]), max(total, current, best[1]))
            self.fetched = True
        elif status.startswith(_FETCHED):
            self.fetched = True
            if layer in self._bytes:
                whole = self._bytes[layer][1]
                self._bytes[layer] = (whole, whole)
        return True

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._said)

    @property
    def done(self) -> int:
        """How many are there, unpacked."""
        return sum(status.startswith(_DONE) for status, _, _ in self._said.values())

    @property
    def current(self) -> int:
        """Bytes fetched; never runs backwards."""
        return sum(done for done, _ in self._bytes.values())

    @property
    def fetched_of(self) -> dict[str, int]:
        """Bytes fetched of each."""
        return {layer: done for layer, (done, _) in self._bytes.items()}

    @property
    def total(self) -> int:
        """Bytes to fetch, as far as they are known."""
        return sum(total for _, total in self._bytes.values())

    @property
    def phase(self) -> Phase:
        """What a person would say the engine is doing."""
        statuses = [status for status, _, _ in self._said.values()]
        if any(status.startswith(("Downloading", "Retrying", "Verifying", "Copying")) for status in statuses):
            return Phase.DOWNLOADING
        if any(status.startswith("Extracting") for status in statuses):
            return Phase.EXTRACTING
        unfinished = [status for status in statuses if not status.startswith(_DONE)]
        if unfinished and all(status.startswith(("Waiting", "Pulling fs layer")) for status in unfinished):
            return Phase.DOWNLOADING if self.fetched else Phase.WAITING
        return Phase.EXTRACTING if unfinished or self.fetched else Phase.RESOLVING

    @property
    def awaited(self) -> Phase:
        """What the next change has to come from: the registry, the engine's queue, or its unpacking alone."""
        if not self._said:
            return Phase.RESOLVING
        lacking = [status for status, _, _ in self._said.values() if not status.startswith(_HERE)]
        if not lacking:
            return Phase.EXTRACTING
        return Phase.WAITING if all(status.startswith("Waiting") for status in lacking) else Phase.DOWNLOADING
