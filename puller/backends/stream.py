"""What an engine says while it pulls, read the same way from the API's stream and from the CLI's lines."""

import re
from time import monotonic
from typing import TYPE_CHECKING

from puller.backends.base import NOTHING, Inspected
from puller.backends.layers import Layers
from puller.events import Phase, Progress
from puller.model import Pulled
from puller.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from puller.backends.base import ProgressSink
    from puller.backends.watch import Watch
    from puller.model import PullRequest
    from puller.reference import Platform

_INTERVAL = 0.1
"""Seconds between two progress events of one image, a change of phase excepted."""
_LAYER_ID = re.compile(r"[0-9a-f]{12}")
_DIGEST = re.compile(r"Digest: (sha256:[0-9a-f]{64})")
_MOST_LINES = 1000
"""A stream that says more different things than that of an image brings nothing new any more."""


class PullStream:
    """Follows one pull; knows at its end whether anything was fetched, and the digest announced."""

    def __init__(self, request: "PullRequest", sink: "ProgressSink", watch: "Watch") -> None:
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

    def pulled(self, before: Inspected | None, inspect: "Callable[[], Inspected | None]") -> Pulled:
        """Say what came of it. Where an engine says too little (podman), the image before and now is compared.

        A second platform of a tag is "up to date" to the containerd store although layers were fetched.
        """
        up_to_date, digest = self._says_up_to_date, self._digest
        if up_to_date is None or digest is None:
            now = inspect()
            digest = digest or _digest_of(now or NOTHING, self._request.reference)
            if up_to_date is None:
                had, has = ((image or NOTHING).identity for image in (before, now))
                return Pulled(digest, up_to_date=had is not None and had == has)
        return Pulled(digest, up_to_date=up_to_date and not self._layers.fetched)

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
    repo_digests: "Iterable[str]",
    reference: ImageReference,
    platform: "Platform | None" = None,
) -> Inspected:
    """Find the digests of a reference's repository among all of an image's `RepoDigests`."""
    digests: list[str] = []
    for text in repo_digests:
        try:
            known = ImageReference.parse(text)
        except ValueError:
            continue
        if known.name == reference.name and known.digest and known.digest not in digests:
            digests.append(known.digest)
    return Inspected(identity, tuple(digests), platform)


def inspected_name(reference: ImageReference) -> str:
    """Name an image as engines find it: they forget the tag of what was pulled by digest."""
    return f"{reference.name}@{reference.digest}" if reference.digest else reference.canonical


def _digest_of(image: Inspected, reference: ImageReference) -> str | None:
    if reference.digest:
        return reference.digest if reference.digest in image.digests else None
    return image.digests[0] if image.digests else None
