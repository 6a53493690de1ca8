"""The download of a blob and its progress, shared by the threads that fetch it and those that serve it."""

from collections.abc import Callable
from pathlib import Path
from threading import Condition

from puller.blobs.journal import Segment
from puller.blobs.partial import PartialBlob
from puller.errors import RegistryError
from puller.image.reference import ImageReference

Rank = tuple[int, int, int]
"""The order of downloads: the image's place in the list, the blob's in the image, the segment's in the blob."""


class BlobDownload:
    """The download of one blob, which several images may share."""

    def __init__(
        self,
        digest: str,
        size: int,
        source: ImageReference,
        rank: Rank,
        path: Path | None = None,
        offset: int = 0,
        *,
        foreign: bool = False,
    ) -> None:
        self.digest, self.size = digest, size
        self.source = source
        """An image whose repository contains the blob."""
        self.rank = rank
        self.path = path
        """The file of the complete, verified blob."""
        self.offset = offset
        """Where the blob begins in that file."""
        self.foreign = foreign
        """See `Descriptor.foreign`."""
        self.part: PartialBlob | None = None
        self.urgent = False
        """Whether the engine is waiting for it."""
        self.opened = False
        """Whether a thread has started on it."""
        self.failure: RegistryError | None = None
        """Why the download failed."""
        self.fetched = 0
        """Bytes received from the registry in this run."""
        self.before = 0
        """Bytes received in this run by an earlier download of the blob, which failed or was lost."""
        self.expected = size
        """Bytes to receive from the registry, as far as known."""
        self.restarts = 0
        """How often wrong content was discarded and fetched again."""
        self._changed = Condition()
        self._when_failed: list[Callable[[], object]] = []

    @property
    def done(self) -> bool:
        """Whether the download has completed or failed."""
        return self.path is not None or self.failure is not None

    @property
    def available(self) -> int:
        """Bytes from the start that can be served already; parts of an earlier run must be verified first."""
        if self.path is not None:
            return self.size
        part = self.part
        return part.prefix if part is not None and not part.resumed and not self.restarts else 0

    @property
    def file(self) -> Path | None:
        """The file with the available bytes; it changes when the download completes."""
        return self.path or (self.part.path if self.part else None)

    def wait(self, beyond: int, seconds: float) -> None:
        """Wait until more than `beyond` bytes are available, or the download is done, or `seconds` have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self.done or self.available > beyond, seconds)

    def received(self, count: int) -> None:
        self.wasted(count)
        self._notify()

    def wasted(self, count: int) -> None:
        """Count bytes from the registry that are of no use."""
        with self._changed:
            self.fetched += count

    def complete(self, path: Path) -> None:
        self.expected, self.path = self.fetched, path
        self._notify()

    def fail(self, why: RegistryError) -> None:
        with self._changed:
            self.failure = self.failure or why
            calls, self._when_failed = self._when_failed, []
        self._notify()
        for call in calls:
            call()

    def when_failed(self, call: Callable[[], object]) -> None:
        """Call a function once, as soon as the download has failed."""
        with self._changed:
            if not self.failure:
                self._when_failed.append(call)
                return
        call()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


class DownloadTask:
    """A task for one connection: open a blob (without a segment), or fetch a segment of it."""

    def __init__(self, rank: Rank, blob: BlobDownload, segment: Segment | None = None, tries: int = 0) -> None:
        self.rank, self.blob, self.segment = rank, blob, segment
        self.tries = tries
        """Tries in a row without receiving a byte."""

    def __lt__(self, other: "DownloadTask") -> bool:
        return self.rank < other.rank
