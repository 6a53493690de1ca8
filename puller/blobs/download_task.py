"""A blob that is wanted, and how far it has come: told by those who fetch it, asked by those who serve it."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition

from puller.blobs.journal import Segment
from puller.blobs.partial import PartialBlob
from puller.image.reference import ImageReference

Rank = tuple[int, int, int]
"""What comes first: the image's place in the list, the blob's in the image, the segment's in the blob."""


class BlobDownload:
    """One blob, however many images share it."""

    def __init__(self, digest: str, size: int, source: ImageReference, rank: Rank) -> None:
        """`source` is an image whose repository has it."""
        self.digest = digest
        self.size = size
        self.source = source
        self.rank = rank
        self.urgent = False
        """Whether somebody is waiting for it."""
        self.opened = False
        """Whether a thread has begun with it."""
        self.part: PartialBlob | None = None
        self.path: Path | None = None
        """Where it lies, whole and checked."""
        self.offset = 0
        """Where it begins in that file."""
        self.failure = ""
        """Why it cannot be had; empty while it can."""
        self.expected = size
        """Bytes that its registry has to send, as far as that is known."""
        self.fetched = 0
        """Bytes that came from its registry in this run."""
        self.renewed = 0
        """How often all that had come turned out to be wrong, and was thrown away."""
        self._moved = Condition()

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.path is not None or bool(self.failure)

    @property
    def available(self) -> int:
        """Bytes from the beginning on that can be handed over: what an earlier run has left is checked first."""
        if self.path is not None:
            return self.size
        part = self.part
        return part.prefix if part is not None and not part.resumed and not self.renewed else 0

    @property
    def file(self) -> Path | None:
        """Where the bytes that are available lie at this moment."""
        return self.path or (self.part.path if self.part else None)

    def wait(self, beyond: int, seconds: float) -> None:
        """Wait until there is more than so many bytes, or nothing more will come, or the time is over."""
        with self._moved:
            self._moved.wait_for(lambda: self.done or self.available > beyond, seconds)

    def came(self, count: int) -> None:
        """Count bytes that came."""
        self.fetched += count
        self.moved()

    def settle(self, path: Path) -> None:
        """Be there."""
        self.expected, self.path = self.fetched, path
        self.moved()

    def fail(self, why: str) -> None:
        """Be given up."""
        self.failure = self.failure or why
        self.moved()

    def moved(self) -> None:
        """Wake those who wait."""
        with self._moved:
            self._moved.notify_all()


@dataclass(order=True, slots=True)
class DownloadTask:
    """What one connection does next: open a blob (without a segment), or fetch a segment of it."""

    rank: Rank
    blob: BlobDownload = field(compare=False)
    segment: Segment | None = field(default=None, compare=False)
    tries: int = field(default=0, compare=False)
    """How often it was tried without a byte coming."""
