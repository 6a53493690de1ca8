"""Prefetching for one run: looks up images, downloads missing blobs, and serves them to the engine on loopback."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError as FutureCancelledError, Future, TimeoutError as FutureTimeoutError
from threading import Lock
from time import monotonic
from typing import NamedTuple

from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.blobs.missing import MissingBlobs, QuotaError
from puller.blobs.prefetch_progress import Downloads, DownloadWatch
from puller.blobs.prefetch_trial import Traffic
from puller.blobs.served import ServedImages
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.errors import EngineError, FailureKind, RegistryError
from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.registry.batch import asking
from puller.registry.client import RegistryClient
from puller.settings import PrefetchMode, Settings

_LOOK_UPS = 4
"""Concurrent look-ups at one registry."""
_TICK = 0.2
"""Seconds between two checks for cancellation."""
_TRIM_SHARE = 8
"""The store is trimmed whenever 1/8 of its limit is no longer needed."""
_SPARE = 10
"""Blobs that the engine has are kept for a later run, should this one be killed, as long as the store and the engine
together have at most 9/10 of all images, as an engine needs more while it unpacks; nearly full disks leave less."""
_THINNING = 0.1
"""Minimum seconds between two looks at that."""
_PATIENCE = 3.0
"""Seconds to wait for the look-up of an image in a run that prefetches by itself."""
_REFUSED = 3
"""Failed look-ups of images after which a registry is said to refuse them, if none has succeeded."""
_NOT_NEEDED = RegistryError("the engine has it", kind=FailureKind.CANCELLED)


class LoopbackImage(NamedTuple):
    """An image on loopback."""

    name: ImageReference
    blobs: tuple[BlobDownload, ...]
    own: tuple[BlobDownload, ...]
    """Blobs that no earlier image of the run contains."""


class Prefetch:
    """Prefetching for one run."""

    def __init__(
        self,
        client: RegistryClient,
        store: BlobStore,
        inventory: EngineInventory,
        settings: Settings,
        note: Callable[[str], object] = str,
        downloaded: Callable[[Downloads], object] = bool,
    ) -> None:
        """Start the registry on loopback; raises OSError. `note` is called with the reason to prefetch no images.

        `downloaded` is called several times a second with what has been downloaded.
        """
        self._note = note
        automatic = settings.prefetch.mode is PrefetchMode.AUTO
        self._shared, self._client = client, client.apart() if automatic else client.with_limits()
        self._patience = _PATIENCE if automatic else None
        self._store = store
        self._inventory = inventory
        self._keeps = settings.prefetch.keeps
        self._most = settings.prefetch.cache_size
        self._missing = MissingBlobs(self._client, inventory, settings.policy, spare_quota=automatic)
        self._questions = asking(_LOOK_UPS)
        self._downloads = DownloadPool(self._client, store, settings.prefetch)
        self._served = ServedImages(self._client, self._downloads)
        self._lock = Lock()
        self._images: dict[PullRequest, Future[LoopbackImage | None]] = {}
        self._users: Counter[str] = Counter()
        """For each blob, the number of images that still need it."""
        self._under: defaultdict[str, set[int]] = defaultdict(set)
        """For each layer, what it stands on in the images: a graph driver asks for it again on other layers."""
        self._used = 0
        self._released: set[PullRequest] = set()
        """Images that the engine has, or pulls by itself."""
        self._left: set[str] = set()
        """Registries that are left to the engine."""
        self._answers, self._refusals = Counter[str](), Counter[str]()
        """By registry, the look-ups that succeeded and failed."""
        self._unknown = 0
        """Images that have not been looked up."""
        self._blobs: dict[str, BlobDownload] = {}
        self._taken: dict[str, BlobDownload] = {}
        """Blobs in the store that the engine has received, in that order."""
        self._looked = 0.0
        self.server = LoopbackRegistry(self._served, self.taken)
        self._downloaded = downloaded
        self.watch = DownloadWatch(self.downloads, self._progressed)

    def begin(self, requests: Iterable[PullRequest]) -> None:
        """Look up images, and download missing blobs in the order of the list; raises EngineError."""
        for place, request in enumerate(requests):
            platform = self._inventory.platform(request)
            if platform is not None:
                with self._lock:
                    self._unknown += 1
                registry = request.reference.registry
                self._images[request] = self._questions.submit(registry, self._prepare, place, request, platform)

    def image(self, request: PullRequest, cancel: Cancellation) -> LoopbackImage | None:
        """Wait until an image has been looked up; None if the engine should pull it by itself.

        Raises EngineError as `check_limit`, and puller's CancelledError.
        """
        cancel.check()
        if stored := self._stored(request):
            return stored
        future, began = self._images.get(request), monotonic()
        while future is not None and request.reference.registry not in self._left:
            try:
                image = future.result(_TICK)
                return image if image and not any(blob.failure for blob in image.blobs) else None
            except FutureTimeoutError:
                cancel.check()
                if self._patience is not None and monotonic() - began >= self._patience:
                    break
            except (RegistryError, EngineError, FutureCancelledError):
                break
        self.check_limit(request)
        return None

    def check_limit(self, request: PullRequest) -> None:
        """Raise EngineError during a rate limit of the image's registry, so that the engine sends no request there."""
        limit = self._shared.health(request.reference.registry).rate_limit
        if limit.left and limit.why:
            raise EngineError(limit.why.message, kind=FailureKind.RATE_LIMITED)

    def ready(self, request: PullRequest) -> bool | None:
        """Whether an image is prefetched; None if that is not known yet."""
        future = self._images.get(request)
        if future is not None and not future.done():
            return None
        return _looked_up(future) is not None

    def stored(self, request: PullRequest) -> bool:
        """Whether all missing blobs of an image are in the store: then its registry sends no layer."""
        return self._stored(request) is not None

    def _stored(self, request: PullRequest) -> LoopbackImage | None:
        image = _looked_up(self._images.get(request))
        return image if image and all(blob.path and not blob.failure for blob in image.blobs) else None

    def traffic(self, registry: str) -> Traffic:
        """Return what has been fetched from a registry."""
        own, shared = (client.health(registry).rate_limit for client in (self._client, self._shared))
        if shared.why and shared.left > own.left:
            own.extend(shared.left, shared.why)
        received, connections = self._downloads.queue.traffic(registry)
        downloader, refusals = self._downloads.downloader, self._refusals[registry]
        errors, wrong = downloader.errors[registry], downloader.wrong[registry]
        refused = refusals if refusals >= _REFUSED and not self._answers[registry] else 0
        connections = max(0, connections - downloader.verifying[registry])
        return Traffic(received, connections, errors + refused, bool(own.left), wrong)

    def leave(self, registry: str, why: str) -> None:
        """Leave a registry to the engine: nothing more is fetched from there, and pulls from loopback end."""
        self._left.add(registry)
        self._downloads.leave(registry, RegistryError(f"{registry}: {why}", kind=FailureKind.CANCELLED))

    @property
    def has_room(self) -> bool:
        """Whether half of the free disk space is enough for what is left, as far as sizes are known, and usable."""
        with self._lock:
            left = sum(each.size - each.fetched for each in self._blobs.values() if not each.done)
            known = len(self._images) - self._unknown
            left += left * self._unknown // max(1, known)
        return not self._downloads.downloader.broken and min(left, self._most) <= self._store.free // 2

    def downloads(self) -> list[BlobDownload]:
        """Return all blobs of which something may have been downloaded."""
        return self._downloads.blobs

    def finished(self, request: PullRequest) -> None:
        """Release the blobs of a pulled image that no other image needs."""
        self._released.add(request)
        image = _looked_up(self._images.pop(request, None))
        if image is None:
            return
        with self._lock:
            self._users.subtract(blob.digest for blob in image.blobs)
            free = {blob.digest for blob in image.blobs if self._users[blob.digest] <= 0}
            self._used += sum(blob.size for blob in image.blobs if blob.digest in free)
            trim = self._keeps and self._used * _TRIM_SHARE > self._store.limit
            needed = {digest for digest, count in self._users.items() if count > 0} if trim else ()
            self._used = 0 if trim else self._used
            self._taken |= {blob.digest: blob for blob in image.blobs if blob.digest in free}
        self._downloads.queue.forget(free)
        for blob in image.blobs:
            if blob.digest in free and not blob.done and not blob.urgent:  # no engine waits for it
                self._downloads.downloader.give_up(blob, _NOT_NEEDED)
        if trim:
            self._store.trim(needed)
        self._drop_unused()

    def taken(self, digest: str) -> None:
        """Take note that the engine has received a blob."""
        with self._lock:
            if blob := self._blobs.get(digest):
                self._taken[digest] = blob
        self._thin()

    def _progressed(self, downloads: Downloads) -> None:
        self._thin()  # the less is still to come, the less may stay
        self._downloaded(downloads)

    def _thin(self) -> None:
        """Remove blobs that the engine has, as far as the disk would otherwise hold too much."""
        with self._lock:
            now = monotonic()
            if self._keeps or now - self._looked < _THINNING:
                return
            self._looked = now
            coming = sum(max(each.expected - each.fetched, 0) for each in self._blobs.values() if not each.done)
            all_images = sum(each.size for each in self._blobs.values())
            over = sum(each.size for each in self._taken.values())
            over -= min(max(coming - all_images // _SPARE, 0), self._store.free // 4)
            drop = []
            for each in list(self._taken.values()):
                if over > 0 and each.done and not self._is_asked_for_again(each.digest):
                    drop.append(self._taken.pop(each.digest))
                    over -= each.size
        self._drop(drop)

    def _is_asked_for_again(self, digest: str) -> bool:
        """Whether the engine will ask for a layer that it has, for another image."""
        once = self._inventory.facts.keeps_platforms or len(self._under[digest]) <= 1
        return not once and self._users[digest] > 1

    def _drop_unused(self) -> None:
        """Remove what no image needs any more, unless an image that is not known yet might."""
        with self._lock:
            taken = () if self._keeps or self._unknown else self._taken.values()
            unused = [each for each in taken if each.done and self._users[each.digest] <= 0]
            for each in unused:
                del self._taken[each.digest]
        self._drop(unused)

    def _drop(self, blobs: Iterable[BlobDownload]) -> None:
        """Remove blobs from the store, except for those that an earlier run wanted to keep."""
        self._store.drop(each.digest for each in blobs if each.fetched or self._store.temporary)

    def close(self) -> None:
        """Stop serving and downloading; the blobs stay in the store."""
        self.server.close()
        self._questions.close()
        self._missing.close()
        self._client.close()
        self._downloads.close()
        self.watch.close()

    def _prepare(self, place: int, request: PullRequest, platform: Platform) -> LoopbackImage | None:
        registry = request.reference.registry
        try:
            image = self._look_up(place, request, platform)
        except RegistryError as error:
            self._refusals[registry] += _REFUSED if isinstance(error, QuotaError) else 1
            if isinstance(error, QuotaError):
                self._note(f"images of {registry} are not prefetched: {error}")
            raise
        else:
            self._answers[registry] += 1
            return image
        finally:
            with self._lock:
                self._unknown -= 1
            self._drop_unused()

    def _look_up(self, place: int, request: PullRequest, platform: Platform) -> LoopbackImage | None:
        if request.reference.registry in self._left or request in self._released:
            return None
        entry = self._missing.look_up(request, platform)
        if entry is None or self._downloads.downloader.broken or request in self._released:
            return None
        for document in entry.documents:
            self._served.add(document, request.reference, place)
        with self._lock:
            new = {part.digest for part in entry.missing if part.digest not in self._users}
            self._users.update(part.digest for part in entry.missing)
            layers = [each.digest for each in entry.parts.layers]
            for place_in_image, digest in enumerate(layers):
                self._under[digest].add(hash(tuple(layers[:place_in_image])))
        blobs = tuple(self._downloads.fetch(entry.missing, request.reference, place))
        with self._lock:
            self._blobs |= {blob.digest: blob for blob in blobs}
        name = ImageReference.parse(f"{self.server.name(f'n{place}')}@{entry.digest}")
        return LoopbackImage(name, blobs, tuple(blob for blob in blobs if blob.digest in new))


def _looked_up(future: Future[LoopbackImage | None] | None) -> LoopbackImage | None:
    """Return an image that has been looked up; None before that, and for one that the engine pulls by itself."""
    if future is None or not future.done() or future.cancelled() or future.exception():
        return None
    return future.result()
