"""What an engine says while it pulls, read the same way from the API's stream and from the CLI's lines."""

import re
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from puller.events import Phase, Progress
from puller.model import Pulled
from puller.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from puller.backends.base import ProgressSink
    from puller.model import PullRequest

_INTERVAL = 0.1
"""Seconds between two progress events of one image, a change of phase excepted."""
_LAYER_ID = re.compile(r"[0-9a-f]{12}")
_DIGEST = re.compile(r"Digest: (sha256:[0-9a-f]{64})")
_FETCHED = ("Download complete", "Pull complete", "Verifying Checksum")
_DONE = ("Pull complete", "Already exists")
_MOST_LAYERS = 1000
"""A stream that names more layers than any image has is not believed."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What an engine has under a name: the image's ID and its digest in the registry; None where it has none."""

    identity: str | None
    digest: str | None


NOTHING = Inspected(None, None)


class PullStream:
    """Follows one pull; knows at its end whether anything was fetched, and the digest announced."""

    def __init__(self, request: "PullRequest", sink: "ProgressSink") -> None:
        self._request = request
        self._sink = sink
        self._bytes: dict[str, tuple[int, int]] = {}
        self._layers: dict[str, str] = {}
        self._shown = (Phase.RESOLVING, 0.0)
        self._fetched = False
        self._says_up_to_date: bool | None = None
        self._digest: str | None = None

    def feed(self, status: str, layer: str = "", current: int = 0, total: int = 0) -> None:
        """Take in one message: a layer's status with bytes where it has them, or a line about the image."""
        if _LAYER_ID.fullmatch(layer) and not status.startswith("Pulling from"):  # there the ID is a tag
            self._layer(layer, status, current, total)
        elif match := _DIGEST.match(status):
            self._digest = match.group(1)
        elif status.startswith("Status: "):
            self._says_up_to_date = "up to date" in status

    def pulled(self, before: Inspected, inspect: "Callable[[], Inspected]") -> Pulled:
        """Say what came of it. Where an engine says too little (podman), the image before and now is compared.

        A second platform of a tag is "up to date" to the containerd store although layers were fetched.
        """
        up_to_date, digest = self._says_up_to_date, self._digest
        if up_to_date is None or digest is None:
            now = inspect()
            digest = digest or now.digest
            if up_to_date is None:
                return Pulled(digest, up_to_date=before.identity is not None and before.identity == now.identity)
        return Pulled(digest, up_to_date=up_to_date and not self._fetched)

    def _layer(self, layer: str, status: str, current: int, total: int) -> None:
        if layer not in self._layers and len(self._layers) >= _MOST_LAYERS:
            return
        self._layers[layer] = status
        if status == "Downloading":
            known = self._bytes.get(layer, (0, 0))
            self._bytes[layer] = (max(current, known[0]), max(total, current, known[1]))
            self._fetched = True
        elif status.startswith(_FETCHED):
            self._fetched = True
            if layer in self._bytes:
                whole = self._bytes[layer][1]
                self._bytes[layer] = (whole, whole)
        self._show()

    def _show(self) -> None:
        phase, now = self._phase(), monotonic()
        shown_phase, shown_at = self._shown
        if phase is shown_phase and now - shown_at < _INTERVAL:
            return
        self._shown = (phase, now)
        sizes = self._bytes.values()
        self._sink(
            Progress(
                self._request,
                phase,
                current=sum(done for done, _ in sizes),
                total=sum(total for _, total in sizes),
                layers_done=sum(status.startswith(_DONE) for status in self._layers.values()),
                layers=len(self._layers),
            )
        )

    def _phase(self) -> Phase:
        statuses = self._layers.values()
        if any(status.startswith(("Downloading", "Retrying", "Verifying")) for status in statuses):
            return Phase.DOWNLOADING
        if any(status.startswith("Extracting") for status in statuses):
            return Phase.EXTRACTING
        unfinished = [status for status in statuses if not status.startswith(_DONE)]
        if unfinished and all(status.startswith(("Waiting", "Pulling fs layer")) for status in unfinished):
            return Phase.WAITING if self._fetched is False else Phase.DOWNLOADING
        return Phase.EXTRACTING if unfinished or self._fetched else Phase.RESOLVING


def repo_digest(repo_digests: "Iterable[str]", reference: ImageReference) -> str | None:
    """Find the digest of a reference among an image's `RepoDigests`; None when it has none there."""
    for text in repo_digests:
        try:
            known = ImageReference.parse(text)
        except ValueError:
            continue
        if known.name == reference.name and (reference.digest is None or known.digest == reference.digest):
            return known.digest
    return None
