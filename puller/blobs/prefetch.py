"""Prefetching for one run: looks up images, downloads missing blobs, and serves them to the engine on loopback.

The engine pulls each image from loopback first, and then under its own name. The second pull finds all layers in the
engine, which ends up in the same state as after a plain pull. If the first pull fails, the second is a plain pull:
prefetching never makes an image fail.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError as FutureCancelledError, Future, TimeoutError as FutureTimeoutError
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import NamedTuple

from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.blobs.missing import MissingBlobs, QuotaError
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, EngineWrapper, ProgressSink
from puller.errors import CancelledError, EngineError, FailureKind, RegistryError
from puller.events import Progress
from puller.image.digest import short_digest
from puller.image.manifest import Descriptor, Manifest, descriptor_of, descriptors_in
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.plan.inventory import EngineInventory
from puller.registry.batch import asking
from puller.registry.client import RegistryClient
from puller.settings import PrefetchMode, Settings, Timeouts
from puller.text import clean

_LOOK_UPS = 4
"""Concurrent look-ups at one registry."""
_TICK = 0.2
"""Seconds between two checks for cancellation."""
_TRIM_SHARE = 8
"""The store is trimmed whenever 1/8 of its limit is no longer needed."""
_TWICE = 20
"""Blobs that the engine has are kept for a later run, should this one be killed, as long as the store and the engine
together have at most 1/20 more than all images; nearly full disks leave less."""
_THINNING = 0.1
"""Minimum seconds between two looks at that."""

_NOT_NEEDED = RegistryError("the engine has it", kind=FailureKind.CANCELLED)


class LoopbackImage(NamedTuple):
    """An image on loopback."""

    name: ImageReference
    blobs: tuple[BlobDownload, ...]
    own: tuple[BlobDownload, ...]
    """Blobs that no earlier image of the run contains."""


class Prefetch:
    """Prefetching for one run; implements `loopback_registry.Source`."""

    def __init__(
        self,
        client: RegistryClient,
        store: BlobStore,
        inventory: EngineInventory,
        settings: Settings,
        note: Callable[[str], object] = str,
    ) -> None:
        """Start the registry on loopback; raises OSError. `note` is called with the reason to prefetch no images."""
        self._note = note
        self._client = client.with_limits()
        self._store = store
        self._inventory = inventory
        self._keeps = settings.prefetch.keeps
        spare = settings.prefetch.mode is PrefetchMode.AUTO
        self._missing = MissingBlobs(client, inventory, settings.policy, spare_quota=spare)
        self._questions = asking(_LOOK_UPS)
        self._downloads = DownloadPool(client, store, settings.prefetch)
        self._lock = Lock()
        self._images: dict[PullRequest, Future[LoopbackImage | None]] = {}
        self._documents: dict[str, Manifest] = {}
        self._known: dict[str, tuple[Descriptor, ImageReference, int]] = {}
        """Everything that the images name, missing or not, with such an image and the place of that image."""
        self._users: Counter[str] = Counter()
        """For each blob, the number of images that still need it."""
        self._used = 0
        self._unknown = 0
        """Images that have not been looked up."""
        self._blobs: dict[str, BlobDownload] = {}
        self._taken: dict[str, BlobDownload] = {}
        """Blobs in the store that the engine has received, in that order."""
        self._looked = 0.0
        self.server = LoopbackRegistry(self, self.taken)

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
        future = self._images.get(request)
        while future is not None:
            try:
                return future.result(_TICK)
            except FutureTimeoutError:
                cancel.check()
            except (RegistryError, EngineError, FutureCancelledError) as error:
                if isinstance(error, QuotaError):
                    self._note(f"images of {request.reference.registry} are not prefetched: {error}")
                break
        self.check_limit(request)
        return None

    def check_limit(self, request: PullRequest) -> None:
        """Raise EngineError during a rate limit of the image's registry, so that the engine sends no request there."""
        limit = self._client.health(request.reference.registry).rate_limit
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
            now = monotonic()
            if self._keeps or now - self._looked < _THINNING:
                return
            self._looked = now
            coming = sum(max(each.expected - each.fetched, 0) for each in self._blobs.values() if not each.done)
            all_images = sum(each.size for each in self._blobs.values())
            over = sum(each.size for each in self._taken.values())
            over -= min(all_images // _TWICE + coming, self._store.free // 4)
            drop = []
            for each in list(self._taken.values()):
                if over > 0 and each.done and self._users[each.digest] <= 1:
                    drop.append(self._taken.pop(each.digest))
                    over -= each.size
        self._drop(drop)

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

    def document(self, name: str) -> Manifest | None:
        """See `Source.document`. An attestation, for example, is fetched now."""
        return self._documents.get(name) or self._ask(name, self._client.manifest)

    def referrers(self, digest: str) -> Manifest | None:
        return self._ask(digest, self._client.referrers)

    def _ask(self, name: str, ask: Callable[[ImageReference, str], Manifest]) -> Manifest | None:
        known = self._known.get(name.replace("-", ":", 1))
        with suppress(RegistryError):
            if known:
                return self._add(ask(known[1], name), known[1], known[2])
        return None

    def _add(self, document: Manifest, source: ImageReference, place: int) -> Manifest:
        """Serve a manifest, and what it names."""
        self._documents[document.digest] = document
        for part in (descriptor_of(document), *descriptors_in(document)):
            self._known.setdefault(part.digest, (part, source, place))
        return document

    def blob(self, digest: str) -> BlobDownload | None:
        """See `Source.blob`. A blob that the engine seemed to have is downloaded now."""
        known = self._known.get(digest)
        if known is None:
            return None
        part, source, place = known
        (blob,) = self._downloads.fetch((part,), source, place)
        self._downloads.queue.prioritize(blob)
        return blob

    def close(self) -> None:
        """Stop serving and downloading; the blobs stay in the store."""
        self.server.close()
        self._questions.close()
        self._missing.close()
        self._client.close()
        self._downloads.close()

    def _prepare(self, place: int, request: PullRequest, platform: Platform) -> LoopbackImage | None:
        try:
            return self._look_up(place, request, platform)
        finally:
            with self._lock:
                self._unknown -= 1
            self._drop_unused()

    def _look_up(self, place: int, request: PullRequest, platform: Platform) -> LoopbackImage | None:
        entry = self._missing.look_up(request, platform)
        if entry is None or self._downloads.downloader.broken:
            return None
        for document in entry.documents:
            self._add(document, request.reference, place)
        with self._lock:
            new = {part.digest for part in entry.missing if part.digest not in self._users}
            self._users.update(part.digest for part in entry.missing)
        blobs = tuple(self._downloads.fetch(entry.missing, request.reference, place))
        with self._lock:
            self._blobs |= {blob.digest: blob for blob in blobs}
        name = ImageReference.parse(f"{self.server.name(f'n{place}')}@{entry.digest}")
        return LoopbackImage(name, blobs, tuple(blob for blob in blobs if blob.digest in new))


class PrefetchEngine(EngineWrapper):
    """Pulls with another engine and a `Prefetch`, which the caller closes."""

    def __init__(self, engine: Engine, prefetch: Prefetch, note: Callable[[str], None]) -> None:
        """`note` is called with the reason when an image is pulled without prefetching."""
        super().__init__(engine)
        self._prefetch = prefetch
        self._note = note

    def serves(self, request: PullRequest, cancel: Cancellation) -> bool:
        """Wait until it is known whether an image is prefetched; raises CancelledError."""
        try:
            return self._prefetch.image(request, cancel) is not None
        except EngineError:
            return False

    def release(self, request: PullRequest) -> None:
        """Give up an image that the engine pulls by itself."""
        self._prefetch.finished(request)

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull from loopback, then from the image's own registry; see `Engine.pull`."""
        began = monotonic()
        image = self._prefetch.image(request, cancel)
        if image is None:
            return self._engine.pull(request, cancel=cancel, clocks=clocks, progress=progress)

        def relay(event: Progress) -> None:
            current, total = sum(blob.fetched for blob in image.own), sum(blob.expected for blob in image.own)
            layers = {blob.digest: blob.fetched for blob in image.blobs}
            cached = {short_digest(blob.digest) for blob in image.blobs if blob.path and not blob.fetched}
            seen = event._replace(request=request, current=current, total=total, of_layers=layers, whole=frozenset())
            progress(seen._replace(present=event.present | cached))

        def without_whole(event: Progress) -> None:  # other images may have brought them from loopback meanwhile
            progress(event._replace(whole=frozenset()))

        fetched, second = False, progress
        try:
            try:
                # The engine may wait long for a blob that is queued behind others; downloads have their own limits.
                limits = clocks._replace(stall=None)
                first = PullRequest(image.name, request.platform)
                fetched = not self._engine.pull(first, cancel=cancel, clocks=limits, progress=relay).up_to_date
                second = without_whole
            except EngineError as error:
                reason = next((blob.failure for blob in image.blobs if blob.failure), error).message
                self._note(f"pulled without prefetching: {clean(reason)}")
            self._prefetch.check_limit(request)
            clocks = clocks._replace(spent=clocks.spent + monotonic() - began)
            pulled = self._engine.pull(request, cancel=cancel, clocks=clocks, progress=second)
        finally:
            with suppress(EngineError, CancelledError):  # the name does not exist if the first pull failed
                self._engine.store.untag(f"{image.name.name}@{image.name.digest}")
        self._prefetch.finished(request)
        return pulled._replace(up_to_date=pulled.up_to_date and not fetched)
