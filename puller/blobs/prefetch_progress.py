"""The progress of prefetching: what puller downloads, and not what the engine takes from loopback."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from threading import Event as Flag, Lock

from puller.blobs.download_task import BlobDownload
from puller.engine.interface import ProgressSink
from puller.events import Phase, Progress
from puller.image.digest import short_digest
from puller.model import PullRequest
from puller.system.threads import start

INTERVAL = 0.25
"""Seconds between two looks at the downloads, of which the engine says nothing while it waits for them."""

Downloads = Mapping[str, tuple[int, int | None]]
"""By digest, the bytes that puller has downloaded, and all that it will; None after a failure."""


class PullProgress:
    """Reports the downloads of one image in place of what the engine says of its pull from loopback; thread-safe."""

    def __init__(
        self, request: PullRequest, blobs: Collection[BlobDownload], own: Collection[BlobDownload], sink: ProgressSink
    ) -> None:
        """`own` are the blobs that no earlier image of the run contains."""
        self._request = request
        self._blobs = blobs
        self._mine = [blob for blob in blobs if blob in own or not blob.done]
        self._others = {short_digest(blob.digest) for blob in blobs if blob not in self._mine}
        """Blobs that puller has downloaded for other images before."""
        self._sink = sink
        self._lock = Lock()
        self._said: Progress | None = None
        """What the engine said last; None before that, and after the end."""
        self._told = (Phase.RESOLVING, 0, 0)

    def feed(self, event: Progress) -> None:
        """Report on an event of the engine."""
        with self._lock:
            self._said = event
            self._tell(event)

    def refresh(self) -> None:
        """Report again if more was downloaded."""
        with self._lock:
            if self._said and self._told != self._state(self._said):
                self._tell(self._said)

    def end(self) -> None:
        """Report no more."""
        with self._lock:
            self._said = None

    def _state(self, event: Progress) -> tuple[Phase, int, int]:
        """Return the phase, the bytes downloaded and all bytes; puller may download for an engine that waits."""
        waits = event.phase in (Phase.QUEUED, Phase.WAITING)
        downloads = waits and any(blob.opened and not blob.done for blob in self._mine)
        phase = Phase.DOWNLOADING if downloads else event.phase
        return phase, sum(blob.fetched for blob in self._mine), sum(blob.expected for blob in self._mine)

    def _tell(self, event: Progress) -> None:
        self._told = phase, current, total = self._state(event)
        cached = {short_digest(blob.digest) for blob in self._blobs if blob.path and not blob.fetched}
        seen = event._replace(request=self._request, phase=phase, current=current, total=total, whole=frozenset())
        layers = {blob.digest: blob.fetched for blob in self._blobs}
        self._sink(seen._replace(of_layers=layers, present=event.present | cached | self._others))


class DownloadWatch:
    """Looks at all downloads of a run several times a second, in a thread, until it is closed."""

    def __init__(self, blobs: Callable[[], Collection[BlobDownload]], report: Callable[[Downloads], object]) -> None:
        """`report` is called with what has changed."""
        self._blobs = blobs
        self._report = report
        self._pulls: set[PullProgress] = set()
        self._told: dict[str, tuple[int, int | None]] = {}
        self._closing = Flag()
        self._thread = start(self._run, "progress")

    @contextmanager
    def following(self, pull: PullProgress) -> Iterator[None]:
        """Refresh the progress of a pull during the block."""
        self._pulls.add(pull)
        try:
            yield
        finally:
            self._pulls.discard(pull)
            pull.end()

    def close(self) -> None:
        """Report once more, for what others have fetched since the last change."""
        self._closing.set()
        if self._thread:
            self._thread.join()
        self._look(last=True)

    def _run(self) -> None:
        while not self._closing.wait(INTERVAL):
            self._look()

    def _look(self, *, last: bool = False) -> None:
        now = {blob.digest: _state_of(blob) for blob in self._blobs()}
        changed = {digest: state for digest, state in now.items() if self._told.get(digest) != state}
        if changed or last:
            self._told |= changed
            self._report(changed)
        for pull in self._pulls.copy():
            pull.refresh()


def _state_of(blob: BlobDownload) -> tuple[int, int | None]:
    return blob.before + blob.fetched, None if blob.failure else blob.before + blob.expected
