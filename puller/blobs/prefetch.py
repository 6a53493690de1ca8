"""Prefetching for one run: looks up images, downloads missing blobs, and serves them on loopback."""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from threading import Lock

from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.blobs.missing import ImageBlobs, MissingBlobs
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.errors import EngineError, FailureKind, RegistryError
from puller.image.manifest import Descriptor
from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.registry.client import RegistryClient
from puller.settings import Settings

_TICK = 0.2
"""Seconds between two checks for cancellation."""
_TRIM_SHARE = 8
"""The store is trimmed whenever 1/8 of its limit is no longer needed."""


@dataclass(frozen=True, slots=True)
class LoopbackImage:
    """An image on loopback."""

    name: ImageReference
    blobs: tuple[BlobDownload, ...]
    own: tuple[BlobDownload, ...]
    """Blobs that no earlier image of the run contains."""

    @property
    def current(self) -> int:
        """Bytes received for it."""
        return sum(blob.fetched for blob in self.own)

    @property
    def total(self) -> int:
        """Bytes to receive for it."""
        return sum(blob.expected for blob in self.own)


class Prefetch:
    """Prefetching for one run; implements `loopback_registry.Source`."""

    def __init__(
        self, client: RegistryClient, store: BlobStore, inventory: EngineInventory, settings: Settings
    ) -> None:
        """Start the registry on loopback; raises OSError."""
        self._health = client.health
        self._store = store
        self._inventory = inventory
        self._missing = MissingBlobs(client, inventory, settings.policy)
        self._downloads = DownloadPool(client, store, settings.prefetch)
        self._lock = Lock()
        self._images: dict[PullRequest, Future[LoopbackImage | None]] = {}
        self._documents: dict[str, tuple[str, bytes]] = {}
        self._known: dict[str, tuple[Descriptor, ImageReference, int]] = {}
        """Every blob of every image, missing or not, with an image that contains it and the place of that image."""
        self._users: Counter[str] = Counter()
        """For each blob, the number of images that still need it."""
        self._used = 0
        self.server = LoopbackRegistry(self)

    @property
    def broken(self) -> str:
        """See `Downloader.broken`."""
        return self._downloads.broken

    def begin(self, requests: Iterable[PullRequest]) -> None:
        """Look up images, and download missing blobs in the order of the list; raises EngineError."""
        for place, request in enumerate(requests):
            platform = self._inventory.platform(request)
            if platform is not None:
                registry = request.reference.registry
                self._images[request] = self._missing.submit(registry, self._prepare, place, request, platform)

    def image(self, request: PullRequest, cancel: Cancellation) -> LoopbackImage | None:
        """Wait until an image has been looked up; None if the engine should pull it by itself.

        Raises EngineError as `check_limit`, and puller's CancelledError.
        """
        future = self._images.get(request)
        while future is not None:
            cancel.check()
            try:
                return future.result(_TICK)
            except FutureTimeoutError:
                continue
            except (RegistryError, EngineError, CancelledError):
                break
        self.check_limit(request)
        return None

    def check_limit(self, request: PullRequest) -> None:
        """Raise EngineError during a rate limit of the image's registry, so that the engine sends no request there."""
        limit = self._health(request.reference.registry).rate_limit
        if limit.left and limit.why:
            raise EngineError(limit.why.message, kind=FailureKind.RATE_LIMITED)

    def finished(self, request: PullRequest) -> None:
        """Release the blobs of a pulled image that no other image needs."""
        future = self._images.pop(request, None)
        image = future.result() if future and future.done() and not future.exception() else None
        if image is None:
            return
        with self._lock:
            self._users.subtract(blob.digest for blob in image.blobs)
            free = {blob.digest for blob in image.blobs if self._users[blob.digest] <= 0}
            self._used += sum(blob.size for blob in image.blobs if blob.digest in free)
            trim = self._used * _TRIM_SHARE > self._store.limit
            needed = {digest for digest, count in self._users.items() if count > 0}
            self._used = 0 if trim else self._used
        self._downloads.forget(free)
        if trim:
            self._store.trim(needed)

    def document(self, digest: str) -> tuple[str, bytes] | None:
        return self._documents.get(digest)

    def blob(self, digest: str) -> BlobDownload | None:
        """See `Source.blob`. A blob that the engine seemed to have is downloaded now."""
        known = self._known.get(digest)
        if known is None:
            return None
        part, source, place = known
        (blob,) = self._downloads.fetch((part,), source, place)
        self._downloads.prioritize(blob)
        return blob

    def close(self) -> None:
        """Stop serving and downloading; the blobs stay in the store."""
        self.server.close()
        self._missing.close()
        self._downloads.close()

    def _prepare(self, place: int, request: PullRequest, platform: Platform) -> LoopbackImage | None:
        entry = self._missing.look_up(request, platform)
        if entry is None or self.broken:
            return None
        self._register(entry, request.reference, place)
        with self._lock:
            new = {part.digest for part in entry.missing if part.digest not in self._users}
            self._users.update(part.digest for part in entry.missing)
        blobs = tuple(self._downloads.fetch(entry.missing, request.reference, place))
        name = ImageReference.parse(f"{self.server.name(f'n{place}')}@{entry.digest}")
        return LoopbackImage(name, blobs, tuple(blob for blob in blobs if blob.digest in new))

    def _register(self, entry: ImageBlobs, source: ImageReference, place: int) -> None:
        for document in entry.documents:
            self._documents[document.digest] = (document.media_type, document.raw)
        for part in (entry.parts.config, *entry.parts.layers):
            self._known.setdefault(part.digest, (part, source, place))
