"""Export to files (`--to`): an engine that only fetches images and writes them to a folder or an archive.

It implements `Engine`, so lists, policies, retries, reports and exit codes work as for any other pull.
"""

import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Lock

from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload
from puller.blobs.missing import ImageBlobs, MissingBlobs
from puller.blobs.store import LAYOUT, BlobStore
from puller.cancellation import Cancellation
from puller.engine.interface import NOTHING, ImageStore, InspectedImage, ProgressSink
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.engine.responses import read_info
from puller.errors import EngineError, FailureKind, PullerError, RegistryError
from puller.events import Phase, Progress
from puller.image.oci_layout import LayoutImage, blob_path, docker_entry, index_text, read_index
from puller.image.reference import ImageReference
from puller.model import EngineResult, PullRequest
from puller.registry.client import RegistryClient
from puller.settings import PrefetchMode, PrefetchSettings, Settings, Timeouts
from puller.system import files
from puller.system.paths import cache_home

_TICK = 0.2
"""Seconds between two progress events of an image."""
_IMAGES = 16
"""Minimum number of concurrent images; each has a thread that only waits."""


def layout_settings(settings: Settings) -> Settings:
    """Return settings for a session that exports: without disk check and prefetching."""
    prefetch = replace(settings.prefetch, mode=PrefetchMode.NEVER)
    return replace(settings, jobs=max(settings.jobs, _IMAGES), prefetch=prefetch, disk_check=False)


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
                store, target = BlobStore(cache_home() / "blobs", settings.prefetch.cache), ArchiveBuilder()
                stack.callback(store.close)
                stack.callback(target.write, path, store)
            else:
                store, target = BlobStore(path, None), LayoutIndex(path / "index.json")
                stack.callback(store.close)
            engine = LayoutEngine(where, store, client, settings.prefetch, target)
            stack.callback(engine.close)
            yield engine
    except OSError as error:
        raise PullerError(f"cannot write {where}: {error.strerror or error}") from None


class LayoutEngine(ImageStore):
    """Fetches images into a store, and adds each complete one to the target. It is its own `ImageStore`."""

    def __init__(
        self, where: str, store: BlobStore, client: RegistryClient, settings: PrefetchSettings, target: "ExportTarget"
    ) -> None:
        """`where` is shown to users."""
        self.engine = where
        self.store: ImageStore = self
        self._target = target
        self._blobs = store
        self._missing = MissingBlobs(client, None)
        self._downloads = DownloadPool(client, store, settings)
        self._places = count()
        self._fetched: dict[str, ImageBlobs] = {}
        """Images fetched in this run, by digest."""

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """See `Engine.pull`; downloads have their own time limits."""
        cancel.check()
        platform = request.platform or self.facts().platform
        if platform is None:
            raise EngineError("the platform of this machine is unknown: add --platform")
        try:
            entry = self._missing.look_up(request, platform)
        except RegistryError as error:
            raise EngineError(error.message, status=error.status) from None
        if entry is None:
            raise EngineError(f"{request.reference.registry} does not answer", kind=FailureKind.REGISTRY_UNAVAILABLE)
        blobs = self._downloads.fetch(entry.missing, request.reference, next(self._places))
        for blob in blobs:
            self._downloads.queue.prioritize(blob)
            while not blob.done:
                cancel.check()
                progress(_progress(request, blobs))
                blob.wait(blob.size, _TICK)
            if blob.failure:
                raise EngineError(blob.failure)
        self._save(request.reference, entry)
        return EngineResult(entry.digest, up_to_date=not any(blob.fetched for blob in blobs))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        digests = tuple(each.digest for each in self._target.images() if each.name == reference)
        return InspectedImage(digests[0], digests) if digests else NOTHING

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
            for each in self._target.images()
            if each.name
        )

    def facts(self) -> EngineInfo:
        info = read_info({"OSType": "linux", "Architecture": os.uname().machine}, local=True)
        return info._replace(keeps_platforms=True)  # a name can refer to an index with all its platforms

    def tag(self, source: str, target: ImageReference) -> None:
        """Add a name to a fetched image; an image from a mirror gets its requested name so."""
        entry = self._fetched.get(source.partition("@")[2])
        if entry is not None:
            self._save(target, entry)

    def untag(self, name: str) -> None:
        """Do nothing: exported images stay."""

    def _save(self, name: ImageReference, entry: ImageBlobs) -> None:
        self._fetched[entry.digest] = entry
        try:
            for document in entry.documents:
                self._blobs.add(document.digest, document.raw)
            first = entry.documents[0]
            self._target.add(LayoutImage(first.digest, len(first.raw), first.media_type, name), entry)
        except (OSError, ValueError) as error:
            raise EngineError(f"cannot write {self.engine}: {error}", kind=FailureKind.IO_ERROR) from None


def _progress(request: PullRequest, blobs: Sequence[BlobDownload]) -> Progress:
    current, total = sum(blob.fetched for blob in blobs), sum(blob.expected for blob in blobs)
    done = sum(blob.path is not None for blob in blobs)
    return Progress(request, Phase.DOWNLOADING, current, total, done, len(blobs))


class LayoutIndex:
    """The `index.json` of a folder; thread-safe. Entries of other programs are kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def images(self) -> tuple[LayoutImage, ...]:
        """Return the images; raises OSError, and ValueError for an invalid index."""
        return read_index(files.read(self._path))

    def add(self, image: LayoutImage, _: ImageBlobs) -> None:
        """Add an image, and replace the one with the same name; raises OSError and ValueError."""
        with self._lock:
            others = [each for each in self.images() if image.name is None or each.name != image.name]
            if image not in others:
                others.append(image)
            with files.replacing(self._path) as file:
                file.write(index_text(others).encode())


class ArchiveBuilder:
    """An archive for `docker load`: an OCI image layout with docker's `manifest.json`."""

    def __init__(self) -> None:
        self._images: dict[ImageReference | None, tuple[LayoutImage, ImageBlobs]] = {}

    def images(self) -> list[LayoutImage]:
        return [image for image, _ in list(self._images.values())]

    def add(self, image: LayoutImage, blobs: ImageBlobs) -> None:
        """Add an image, and replace the one with the same name."""
        self._images[image.name] = (image, blobs)

    def write(self, path: Path, store: BlobStore) -> None:
        """Write the file atomically if there is any image; raises OSError. The same images give the same bytes."""
        if not self._images:
            return
        images = sorted(self._images.values(), key=lambda each: each[0].name.canonical if each[0].name else "")
        digests = {document.digest for _, entry in images for document in entry.documents}
        digests |= {part.digest for _, entry in images for part in (entry.parts.config, *entry.parts.layers)}
        docker = [docker_entry(image.name, entry.parts) for image, entry in images if image.name]
        texts = {"oci-layout": LAYOUT, "index.json": index_text(image for image, _ in images)}
        with files.replacing(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, text in (texts | {"manifest.json": json.dumps(docker)}).items():
                tar.addfile(_tar_entry(name, len(text)), io.BytesIO(text.encode()))
            for digest in sorted(digests):
                with store.path(digest).open("rb") as blob:
                    tar.addfile(_tar_entry(blob_path(digest), os.fstat(blob.fileno()).st_size), blob)


ExportTarget = LayoutIndex | ArchiveBuilder


def _tar_entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry
