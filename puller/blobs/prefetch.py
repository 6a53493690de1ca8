"""What one run prefetches for its engine: from the list to the registry on loopback."""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import CancelledError as NeverDoneError, Future, TimeoutError as NotYetError
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
"""Seconds within which it is heard that the run is over."""
_SHARE = 8
"""The store is looked through whenever this part of its limit has been used up."""


@dataclass(frozen=True, slots=True)
class LoopbackImage:
    """One image on loopback."""

    name: ImageReference
    blobs: tuple[BlobDownload, ...]
    own: tuple[BlobDownload, ...]
    """Those that no other image had wanted before."""

    @property
    def current(self) -> int:
        """Bytes that have come for it."""
        return sum(blob.fetched for blob in self.own)

    @property
    def total(self) -> int:
        """Bytes that have come and will come for it."""
        return sum(blob.expected for blob in self.own)


class Prefetch:
    """Looks images up, fetches what is lacking, and serves it; fulfils `loopback_registry.Source`."""

    def __init__(
        self, client: RegistryClient, store: BlobStore, inventory: EngineInventory, settings: Settings
    ) -> None:
        """Open the registry on loopback; raises OSError."""
        self._health = client.health
        self._store = store
        self._inventory = inventory
        self._catalog = MissingBlobs(client, inventory, settings.policy)
        self._fetcher = DownloadPool(client, store, settings.prefetch)
        self._lock = Lock()
        self._images: dict[PullRequest, Future[LoopbackImage | None]] = {}
        self._documents: dict[str, tuple[str, bytes]] = {}
        self._known: dict[str, tuple[Descriptor, ImageReference, int]] = {}
        """Every blob of every image, whether lacking or not, and where it is to be had."""
        self._users: Counter[str] = Counter()
        """Of each blob, how many images still need it."""
        self._used = 0
        self.server = LoopbackRegistry(self)

    @property
    def broken(self) -> str:
        """Why nothing more can be fetched; empty while it can."""
        return self._fetcher.broken

    def begin(self, requests: Iterable[PullRequest]) -> None:
        """Look images up, and fetch what is lacking in the order of the list; raises EngineError."""
        for place, request in enumerate(requests):
            platform = self._inventory.platform(request)
            if platform is not None:
                registry = request.reference.registry
                self._images[request] = self._catalog.soon(registry, self._prepare, place, request, platform)

    def image(self, request: PullRequest, cancel: Cancellation) -> LoopbackImage | None:
        """Wait until an image has been looked up; None is one that the engine should pull by itself.

        Raises EngineError as `check_limit`, and CancelledError when the run is told to stop.
        """
        future = self._images.get(request)
        while future is not None:
            cancel.check()
            try:
                return future.result(_TICK)
            except NotYetError:
                continue
            except (RegistryError, EngineError, NeverDoneError):
                break
        self.check_limit(request)
        return None

    def check_limit(self, request: PullRequest) -> None:
        """Raise EngineError while the registry of an image has set a rate limit: the engine must not ask there, too."""
        limit = self._health(request.reference.registry).rate_limit
        if limit.left and limit.why:
            raise EngineError(limit.why.message, kind=FailureKind.RATE_LIMITED)

    def over(self, request: PullRequest) -> None:
        """Take note that an image is there: what no other one needs may go from the store."""
        future = self._images.pop(request, None)
        image = future.result() if future and future.done() and not future.exception() else None
        if image is None:
            return
        with self._lock:
            self._users.subtract(blob.digest for blob in image.blobs)
            free = {blob.digest for blob in image.blobs if self._users[blob.digest] <= 0}
            self._used += sum(blob.size for blob in image.blobs if blob.digest in free)
            crowded = self._used * _SHARE > self._store.limit
            needed = {digest for digest, count in self._users.items() if count > 0}
            self._used = 0 if crowded else self._used
        self._fetcher.forget(free)
        if crowded:
            self._store.trim(needed)

    def document(self, digest: str) -> tuple[str, bytes] | None:
        """Give a manifest."""
        return self._documents.get(digest)

    def blob(self, digest: str) -> BlobDownload | None:
        """Give a blob; one that the engine was thought to have is fetched now."""
        known = self._known.get(digest)
        if known is None:
            return None
        part, source, place = known
        (blob,) = self._fetcher.want((part,), source, place)
        self._fetcher.hasten(blob)
        return blob

    def close(self) -> None:
        """Serve and fetch nothing more; what was fetched stays in the store."""
        self.server.close()
        self._catalog.close()
        self._fetcher.close()

    def _prepare(self, place: int, request: PullRequest, platform: Platform) -> LoopbackImage | None:
        entry = self._catalog.entry(request, platform)
        if entry is None or self.broken:
            return None
        self._learn(entry, request.reference, place)
        with self._lock:
            new = {part.digest for part in entry.lacking if part.digest not in self._users}
            self._users.update(part.digest for part in entry.lacking)
        blobs = tuple(self._fetcher.want(entry.lacking, request.reference, place))
        name = ImageReference.parse(f"{self.server.name(f'n{place}')}@{entry.digest}")
        return LoopbackImage(name, blobs, tuple(blob for blob in blobs if blob.digest in new))

    def _learn(self, entry: ImageBlobs, source: ImageReference, place: int) -> None:
        for document in entry.documents:
            self._documents[document.digest] = (document.media_type, document.raw)
        for part in (entry.parts.config, *entry.parts.layers):
            self._known.setdefault(part.digest, (part, source, place))
