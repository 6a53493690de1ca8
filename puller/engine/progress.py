"""The messages of an engine during a pull, from the API's stream or the command's lines, as progress and a result."""

import re
from collections.abc import Callable
from threading import Lock
from time import monotonic

from puller.engine.interface import NOTHING, InspectedImage, ProgressSink
from puller.engine.timeouts import AttemptTimer
from puller.events import Phase, Progress
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest

_INTERVAL = 0.1
"""Seconds between two progress events of one image, unless its phase changes or a layer is new."""
_LAYER_ID = re.compile(r"[0-9a-f]{12}")
_DIGEST = re.compile(r"Digest: (sha256:[0-9a-f]{64})")
_MOST = 1000
"""Layers of one image, and different messages about it, that are tracked; no image has more."""
_FETCHED = ("Download complete", "Pull complete", "Verifying Checksum")
_PRESENT = "Already exists"
_DONE = ("Pull complete", _PRESENT)
_MOVING = ("Downloading", "Retrying", "Verifying", "Copying")
_COMPLETE = (*_FETCHED, *_DONE, "Extracting")


class PullStream:
    """The messages of one pull. Reports progress, and knows at the end whether anything was fetched."""

    def __init__(self, request: PullRequest, sink: ProgressSink, timer: AttemptTimer) -> None:
        self._request = request
        self._sink = sink
        self._timer = timer
        self._layers = Layers()
        self._lines: set[int] = set()
        self._lock = Lock()
        self._shown = (Phase.RESOLVING, 0, 0.0)
        self._says_up_to_date: bool | None = None
        self._digest: str | None = None

    def feed(self, status: str, layer: str = "", current: int = 0, total: int = 0) -> None:
        """Process one message: the status of a layer with its byte counts, or a line about the image."""
        with self._lock:
            self._feed(status, layer, current, total)

    def close(self) -> None:
        """Report what was held back since the last event, however the pull ended."""
        with self._lock:
            if self._layers.count:
                self._show(last=True)

    def tick(self) -> None:
        """Show that the image is queued when it is; to be called now and then, from any thread."""
        with self._lock:
            if self._timer.queued and self._shown[0] is not Phase.QUEUED:
                self._show()

    def _feed(self, status: str, layer: str, current: int, total: int) -> None:
        if _LAYER_ID.fullmatch(layer) and not status.startswith("Pulling from"):  # there the ID is a tag
            if self._layers.observe(layer, status, current, total):
                self._moved()
            self._show()
            return
        if match := _DIGEST.match(status):
            self._digest = match.group(1)
        elif status.startswith("Status: "):
            self._says_up_to_date = "up to date" in status
        line = hash((layer, status))
        if line not in self._lines and len(self._lines) < _MOST:
            self._lines.add(line)
            self._moved()
            if self._shown[0] is Phase.QUEUED:
                self._show()

    def pulled(self, before: InspectedImage | None, inspect: Callable[[], InspectedImage | None]) -> EngineResult:
        """Return the result of the pull; an engine that prints too little (podman) is asked for the image once more.

        `before` is the image before the pull. The containerd store reports "up to date" for a second platform of a tag
        although it fetched layers; layers that were fetched decide.
        """
        self._layers.succeed()
        self.close()
        up_to_date, digest = self._says_up_to_date, self._digest
        if up_to_date is None or digest is None:
            before, now = before or NOTHING, inspect() or NOTHING
            digest = digest or _digest_of(before, now, self._request.reference)
            if up_to_date is None:
                return EngineResult(digest, up_to_date=before.identity is not None and before.identity == now.identity)
        return EngineResult(digest, up_to_date=up_to_date and not self._layers.fetched)

    def _moved(self) -> None:
        self._timer.moved(self._layers.awaited, self._layers.current, self._layers.total, idle=self._layers.idle)

    def _show(self, *, last: bool = False) -> None:
        phase, now = Phase.QUEUED if self._timer.queued else self._layers.phase, monotonic()
        shown_phase, shown_layers, shown_at = self._shown
        if last or phase is not shown_phase or self._layers.count > shown_layers or now - shown_at >= _INTERVAL:
            self._shown = (phase, self._layers.count, now)
            self._sink(self._layers.progress(self._request, phase))


def _digest_of(before: InspectedImage, now: InspectedImage, reference: ImageReference) -> str | None:
    """Prefer a digest that this pull added: an image keeps those of the indexes that named it earlier."""
    if reference.digest:
        return reference.digest if reference.digest in now.digests else None
    brought = [digest for digest in now.digests if digest not in before.digests]
    return next(iter(brought or now.digests), None)


class Layers:
    """The last status and the byte counts of each layer of an image."""

    def __init__(self) -> None:
        self._messages: dict[str, tuple[str, int, int]] = {}
        self._bytes: dict[str, tuple[int, int]] = {}
        self._whole: set[str] = set()
        self._present: set[str] = set()
        self.fetched = False
        """Whether anything was downloaded."""

    def observe(self, layer: str, status: str, current: int, total: int) -> bool:
        """Record a message about a layer; return whether it says anything new."""
        message = (status, current, total)
        known = self._messages.get(layer)
        if known == message or (known is None and len(self._messages) >= _MOST):
            return False
        self._messages[layer] = message
        if status == "Downloading":
            best = self._bytes.get(layer, (0, 0))
            self._bytes[layer] = (max(current, best[0]), max(total, current, best[1]))
            self.fetched = True
        elif status.startswith(_FETCHED):
            self.fetched = True
            if layer not in self._present:  # after "Already exists", the containerd store may unpack it again
                self._whole.add(layer)
            if layer in self._bytes:
                whole = self._bytes[layer][1]
                self._bytes[layer] = (whole, whole)
        elif status.startswith(_PRESENT):
            self._present.add(layer)
        return True

    @property
    def count(self) -> int:
        return len(self._messages)

    def succeed(self) -> None:
        """Take note that the pull succeeded: podman does not say that it has fetched a layer."""
        self._whole.update(layer for layer, (status, _, _) in self._messages.items() if status.startswith("Copying"))

    def progress(self, request: PullRequest, phase: Phase) -> Progress:
        fetched = {layer: done for layer, (done, _) in self._bytes.items()}
        unpacked = sum(status.startswith(_DONE) for status in self._statuses)
        known = (self.current, self.total, unpacked, len(self._messages), fetched)
        return Progress(request, phase, *known, frozenset(self._whole), frozenset(self._present))

    @property
    def current(self) -> int:
        """Downloaded bytes; the number never decreases."""
        return sum(done for done, _ in self._bytes.values())

    @property
    def total(self) -> int:
        """Bytes to download, of the layers whose size is known."""
        return sum(total for _, total in self._bytes.values())

    @property
    def phase(self) -> Phase:
        statuses = self._statuses
        if any(status.startswith(_MOVING) for status in statuses):
            return Phase.DOWNLOADING
        if any(status.startswith("Extracting") for status in statuses):
            return Phase.EXTRACTING
        unfinished = [status for status in statuses if not status.startswith(_DONE)]
        if unfinished and all(status.startswith(("Waiting", "Pulling fs layer")) for status in unfinished):
            # The containerd store announces a layer, and says nothing of its first megabyte.
            waits = not self.fetched and any(status.startswith("Waiting") for status in unfinished)
            return Phase.WAITING if waits else Phase.DOWNLOADING
        return Phase.EXTRACTING if unfinished or self.fetched else Phase.RESOLVING

    @property
    def awaited(self) -> Phase:
        """The phase whose time limit applies: what the next message depends on."""
        if not self._messages:
            return Phase.RESOLVING
        missing = [status for status in self._statuses if not status.startswith(_COMPLETE)]
        if not missing:
            return Phase.EXTRACTING
        return Phase.WAITING if all(status.startswith("Waiting") for status in missing) else Phase.DOWNLOADING

    @property
    def idle(self) -> bool:
        """Whether no layer is being fetched, and none is left to be unpacked only."""
        unfinished = [status for status in self._statuses if not status.startswith(_DONE)]
        fetched = [status for status in unfinished if status.startswith(_COMPLETE)]
        return not any(status.startswith(_MOVING) for status in unfinished) and (
            not unfinished or fetched != unfinished
        )

    @property
    def _statuses(self) -> list[str]:
        return [status for status, _, _ in self._messages.values()]
