"""The download of a blob and its progress, shared by the threads that fetch it and those that serve it."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition

from puller.blobs.journal import Segment
from puller.blobs.partial import PartialBlob
from puller.errors import RegistryError
from puller.image.reference import ImageReference

Rank = tuple[int, int, int]
"""The order of downloads: the image's place in the list, the blob's in the image, the segment's in the blob."""


@dataclass(eq=False)
class BlobDownload:
    """The download of one blob, which several images may share."""

    digest: str
    size: int
    source: ImageReference
    """An image whose repository contains the blob."""
    rank: Rank
    path: Path | None = None
    """The file of the complete, verified blob."""
    offset: int = 0
    """Where the blob begins in that file."""
    foreign: bool = False
    """See `Descriptor.foreign`."""
    part: PartialBlob | None = None
    urgent: bool = False
    """Whether the engine is waiting for it."""
    opened: bool = False
    """Whether a thread has started on it."""
    failure: RegistryError | None = None
    """Why the download failed."""
    fetched: int = 0
    """Bytes received from the registry in this run."""
    restarts: int = 0
    """How often wrong content was discarded and fetched again."""
    _changed: Condition = field(default_factory=Condition)

    def __post_init__(self) -> None:
        self.expected = self.size
        """Bytes to receive from the registry, as far as known."""

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
        self.fetched += count
        self._notify()

    def complete(self, path: Path) -> None:
        self.expected, self.path = self.fetched, path
        self._notify()

    def fail(self, why: RegistryError) -> None:
        self.failure = self.failure or why
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


@dataclass(order=True, slots=True)
class DownloadTask:
    """A task for one connection: open a blob (without a segment), or fetch a segment of it."""

    rank: Rank
    blob: BlobDownload = field(compare=False)
    segment: Segment | None = field(default=None, compare=False)
    tries: int = field(default=0, compare=False)
    """Tries in a row without receiving a byte."""
