"""What an engine says while it pulls, read the same way from the API's stream and from the CLI's lines."""

import re
from collections.abc import Callable, Iterable
from time import monotonic

from puller.engine.interface import NOTHING, InspectedImage, ProgressSink
from puller.engine.timeouts import AttemptTimer
from puller.events import Phase, Progress
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest

_INTERVAL = 0.1
"""Seconds between two progress events of one image, a change of phase excepted."""
_LAYER_ID = re.compile(r"[0-9a-f]{12}")
_DIGEST = re.compile(r"Digest: (sha256:[0-9a-f]{64})")
_MOST_LINES = 1000
"""A stream that says more different things than that of an image brings nothing new any more."""


class PullStream:
    """Follows one pull; knows at its end whether anything was fetched, and the digest announced."""

    def __init__(self, request: PullRequest, sink: ProgressSink, watch: AttemptTimer) -> None:
        self._request = request
        self._sink = sink
        self._watch = watch
        self._layers = Layers()
        self._lines: set[int] = set()
        self._shown = (Phase.RESOLVING, 0.0)
        self._says_up_to_date: bool | None = None
        self._digest: str | None = None

    def feed(self, status: str, layer: str = "", current: int = 0, total: int = 0) -> None:
        """Take in one message: a layer's status with bytes where it has them, or a line about the image."""
        if _LAYER_ID.fullmatch(layer) and not status.startswith("Pulling from"):  # there the ID is a tag
            if self._layers.observe(layer, status, current, total):
                self._move()
            self._show()
            return
        if match := _DIGEST.match(status):
            self._digest = match.group(1)
        elif status.startswith("Status: "):
            self._says_up_to_date = "up to date" in status
        line = hash((layer, status))
        if line not in self._lines and len(self._lines) < _MOST_LINES:
            self._lines.add(line)
            self._move()

    def pulled(self, before: InspectedImage | None, inspect: Callable[[], InspectedImage | None]) -> EngineResult:
        """Say what came of it. Where an engine says too little (podman), the image before and now is compared.

        A second platform of a tag is "up to date" to the containerd store although layers were fetched.
        """
        up_to_date, digest = self._says_up_to_date, self._digest
        if up_to_date is None or digest is None:
            now = inspect()
            digest = digest or _digest_of(before or NOTHING, now or NOTHING, self._request.reference)
            if up_to_date is None:
                had, has = ((image or NOTHING).identity for image in (before, now))
                return EngineResult(digest, up_to_date=had is not None and had == has)
        return EngineResult(digest, up_to_date=up_to_date and not self._layers.fetched)

    def _move(self) -> None:
        self._watch.moved(self._layers.awaited, self._layers.current, self._layers.total)

    def _show(self) -> None:
        layers, now = self._layers, monotonic()
        phase = layers.phase
        shown_phase, shown_at = self._shown
        if phase is shown_phase and now - shown_at < _INTERVAL:
            return
        self._shown = (phase, now)
        self._sink(
            Progress(
                self._request,
                phase,
                current=layers.current,
                total=layers.total,
                layers_done=layers.done,
                layers=layers.count,
                of_layers=layers.fetched_of,
            )
        )


def inspected(
    identity: str | None,
    repo_digests: Iterable[str],
    reference: ImageReference,
    platform: Platform | None = None,
) -> InspectedImage:
    """Find the digests of a reference's repository among all of an image's `RepoDigests`."""
    digests: list[str] = []
    for text in repo_digests:
        try:
            known = ImageReference.parse(text)
        except ValueError:
            continue
        if known.name == reference.name and known.digest and known.digest not in digests:
            digests.append(known.digest)
    return InspectedImage(identity, tuple(digests), platform)


def inspected_name(reference: ImageReference) -> str:
    """Name an image as engines find it: they forget the tag of what was pulled by digest."""
    return f"{reference.name}@{reference.digest}" if reference.digest else reference.canonical


def _digest_of(before: InspectedImage, now: InspectedImage, reference: ImageReference) -> str | None:
    """Prefer a digest that this pull has brought: an image keeps those of the indexes that named it at other times."""
    if reference.digest:
        return reference.digest if reference.digest in now.digests else None
    brought = [digest for digest in now.digests if digest not in before.digests]
    return next(iter(brought or now.digests), None)


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
