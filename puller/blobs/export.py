"""Export to files (`--to`): an engine that only fetches images and writes them to a folder or an archive.

It implements `Engine`, so lists, policies, retries, reports and exit codes work as for any other pull.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload
from puller.blobs.export_targets import ArchiveBuilder, ExportTarget, LayoutIndex
from puller.blobs.missing import ImageBlobs, MissingBlobs
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.engine.interface import NOTHING, ImageStore, InspectedImage, ProgressSink
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.engine.responses import read_info
from puller.engine.timeouts import AttemptTimer, LastActivity
from puller.errors import EngineError, FailureKind, PullerError, RegistryError
from puller.events import Phase, Progress
from puller.image.digest import short_digest
from puller.image.manifest import Manifest, descriptors_in, read_index
from puller.image.oci_layout import LayoutImage
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.registry.client import RegistryClient
from puller.registry.manifests import check_platform
from puller.settings import PrefetchMode, PrefetchSettings, Settings, Timeouts
from puller.system import files
from puller.system.paths import cache_home

_TICK = 0.2
"""Seconds between two progress events of an image."""
_LEAST = 16 << 10
"""Bytes that count as progress within the time of `--stall-timeout`."""
_IMAGES = 16
"""Minimum number of concurrent images; each has a thread that only waits."""


def layout_settings(settings: Settings) -> Settings:
    """Return settings for a session that exports: without disk check and prefetching."""
    prefetch = settings.prefetch._replace(mode=PrefetchMode.NEVER)
    return settings._replace(jobs=max(settings.jobs, _IMAGES), prefetch=prefetch, disk_check=False)


@contextmanager
def open_layout(path: Path, settings: Settings, client: RegistryClient, *, archive: bool) -> Iterator["LayoutEngine"]:
    """Open a folder, or an archive that is written at the end, as an engine.

    Raises UsageError for an unusable path, and PullerError when it cannot be written.
    """
    where = f"{'archive' if archive else 'oci'}:{path}"
    target: ExportTarget
    try:
        with ExitStack() as stack:
            if archive:
                files.check(path)
                store = BlobStore(cache_home() / "blobs", settings.prefetch.cache_size)
                stack.callback(store.close)
                target = ArchiveBuilder()
                stack.callback(target.write, path, store)
            else:
                store = BlobStore(path, None)
                stack.callback(store.close)
                target = LayoutIndex(store)
            engine = LayoutEngine(where, store, client, settings.prefetch, target)
            stack.callback(engine.close)
            yield engine
    except OSError as error:
        raise PullerError(f"cannot write {where}: {error.strerror or error}") from None


class LayoutEngine(ImageStore):
    """Fetches images into a store, and adds each complete one to the target. It is its own `ImageStore`."""

    def __init__(
        self, where: str, store: BlobStore, client: RegistryClient, settings: PrefetchSettings, target: ExportTarget
    ) -> None:
        """`where` is shown to users."""
        self.engine = where
        self.store: ImageStore = self
        self._target = target
        self._blobs = store
        self._missing = MissingBlobs(client, None, extras=settings.extras)
        self._downloads = DownloadPool(client, store, settings)
        self._places = count()
        self._activity = LastActivity()
        self._fetched: dict[tuple[str, Platform], ImageBlobs] = {}
        """Images fetched in this run, by digest and platform."""
        self._removed: set[ImageReference] = set()

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        cancel.check()
        try:
            return self._fetch(request, cancel, clocks, progress)
        except RegistryError as error:
            raise EngineError(error.message, status=error.status, kind=error.kind, otherwise=error.otherwise) from None

    def _fetch(
        self, request: PullRequest, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        timer = AttemptTimer(clocks, self._activity)
        platform = request.platform or self.facts().platform
        if platform is None:
            words = "the platform of this machine is unknown: add --platform"
            raise EngineError(words, kind=FailureKind.NO_MATCHING_PLATFORM)
        reference = request.reference
        entry = self._fetched.get((reference.digest or "", platform)) or self._missing.look_up(request, platform)
        if entry is None:
            raise EngineError(f"{reference.registry} does not answer", kind=FailureKind.REGISTRY_UNAVAILABLE)
        blobs = self._downloads.fetch(entry.missing, reference, next(self._places))
        try:
            entry = self._wait(request, entry, blobs, timer, cancel, progress)
        finally:
            progress(_progress(request, blobs))
        self._fetched[entry.digest, platform] = entry
        self._save(reference, entry)
        return EngineResult(entry.digest, up_to_date=not any(blob.fetched for blob in blobs))

    def _wait(
        self,
        request: PullRequest,
        entry: ImageBlobs,
        blobs: Sequence[BlobDownload],
        timer: AttemptTimer,
        cancel: Cancellation,
        progress: ProgressSink,
    ) -> ImageBlobs:
        """Wait until all blobs are complete; return the entry with what its config says."""
        counted = -_LEAST
        for blob in blobs:
            self._downloads.queue.prioritize(blob)
            while not blob.done:
                cancel.check()
                seen = _progress(request, blobs)
                if seen.current - counted >= _LEAST:
                    counted = seen.current
                    timer.moved(Phase.WAITING)  # for a connection, perhaps: any image's progress counts
                timer.check()
                progress(seen)
                blob.wait(blob.size, _TICK)
            if blob.failure:
                raise blob.failure.with_traceback(None)  # which other images may raise, too
            if blob is blobs[0] and blob.path:  # the config
                entry = entry._replace(parts=entry.parts.with_config(blob.path.read_bytes()))
                check_platform(request.platform, entry.parts.platform)
        return entry

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        with suppress(EngineError):
            digests = tuple(each.digest for each in self._images() if each.name == reference)
            fetched = [each for each in list(self._fetched.values()) if each.digest in (*digests, reference.digest)]
            if not digests and fetched:
                digests = (fetched[0].digest,)  # from a mirror, whose name has been removed already
            platforms = {each.parts.platform for each in fetched}
            platform = platforms.pop() if len(platforms) == 1 else None
            return InspectedImage(digests[0], digests, platform) if digests else NOTHING
        return None

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        self._downloads.close()

    def holdings(self) -> LocalImages:
        return LocalImages(
            LocalImage(
                each.digest,
                (f"{each.name.name}:{each.name.tag}",) if each.name.tag else (),
                (f"{each.name.name}@{each.digest}",),
            )
            for each in self._images()
            if each.name and self._is_complete(each.digest)
        )

    def facts(self) -> EngineInfo:
        info = read_info({"OSType": "linux", "Architecture": os.uname().machine}, local=True)
        return info._replace(keeps_platforms=True)  # a name can refer to an index with all its platforms

    def tag(self, source: str, target: ImageReference) -> None:
        """Add a name to a fetched image; an image from a mirror gets its requested name so."""
        for entry in (each for each in list(self._fetched.values()) if each.digest == source.partition("@")[2]):
            self._save(target, entry)

    def untag(self, name: str) -> None:
        """Remove the name of a mirror, for the rest of the run; the blobs stay."""
        self._removed.add(reference := ImageReference.parse(name))
        self._save(reference, None)

    def _save(self, name: ImageReference, entry: ImageBlobs | None) -> None:
        """Give the name to an image, or remove it."""
        try:
            for document in (*entry.documents, *entry.extras) if entry else ():
                self._blobs.add(document.digest, document.raw)
            if entry is None or name not in self._removed:
                self._target.replace(name, entry)
        except OSError as error:
            words = f"cannot write {self.engine}: {error.strerror or error}"
            raise EngineError(words, kind=FailureKind.IO_ERROR) from None

    def _is_complete(self, digest: str) -> bool:
        """Tell whether all blobs of an image exist, for one platform at least; their content is not read."""
        with suppress(OSError, RegistryError):
            document = Manifest(self._blobs.path(digest).read_bytes(), "", digest)
            images = [document]
            if entries := read_index(document):
                there = [each.digest for each in entries if self._blobs.path(each.digest).exists()]
                images = [Manifest(self._blobs.path(each).read_bytes(), "", each) for each in there]
            found = [[self._blobs.path(part.digest).exists() for part in descriptors_in(each)] for each in images]
            return any(map(all, found))
        return False

    def _images(self) -> Sequence[LayoutImage]:
        try:
            return self._target.images()
        except OSError as error:
            words = f"cannot read {self.engine}: {error.strerror or error}"
            raise EngineError(words, kind=FailureKind.IO_ERROR) from None


def _progress(request: PullRequest, blobs: Sequence[BlobDownload]) -> Progress:
    current, total = sum(blob.fetched for blob in blobs), sum(blob.expected for blob in blobs)
    done = sum(blob.path is not None for blob in blobs)
    layers = {blob.digest: blob.fetched for blob in blobs}
    cached = frozenset(short_digest(blob.digest) for blob in blobs if blob.path and not blob.fetched)
    return Progress(request, Phase.DOWNLOADING, current, total, done, len(blobs), layers, present=cached)
