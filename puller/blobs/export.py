"""Export to files (`--to`): an engine that only fetches images and writes them to a folder or an archive.

It implements `Engine`, so lists, policies, retries, reports and exit codes work as for any other pull.
"""

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload
from puller.blobs.missing import ImageBlobs, MissingBlobs
from puller.blobs.store import BlobStore
from puller.cancellation import Cancellation
from puller.engine.interface import NOTHING, ImageStore, InspectedImage, ProgressSink
from puller.engine.model import Container, EngineInfo, ImageContents, LocalImage, LocalImages
from puller.engine.responses import read_info
from puller.errors import EngineError, FailureKind, PullerError, RegistryError
from puller.events import Phase, Progress
from puller.image.oci_layout import LayoutImage, blob_path, docker_entry, index_text, read_index
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.registry.client import RegistryClient
from puller.settings import PrefetchMode, PrefetchSettings, Settings, Timeouts
from puller.system import files
from puller.system.paths import cache_home

_LAYOUT = '{"imageLayoutVersion": "1.0.0"}\n'
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
    fetching = settings.prefetch
    try:
        with ExitStack() as stack:
            if archive:
                files.check(path)
                store, images = BlobStore(cache_home() / "blobs", fetching.cache), ArchiveBuilder()
                stack.callback(store.close)
                stack.callback(lambda: images.write(path, store) if images.images else None)
                engine = LayoutEngine(where, store, client, fetching, images=images.added, add=images.add)
            else:
                store, index = BlobStore(path, None), LayoutIndex(path / "index.json")
                stack.callback(store.close)
                engine = LayoutEngine(
                    where, store, client, fetching, images=index.read, add=lambda image, _: index.add(image)
                )
            stack.callback(engine.close)
            yield engine
    except OSError as error:
        raise PullerError(f"cannot write {where}: {error.strerror or error}") from None


class LayoutEngine:
    """Fetches images into a store, and passes each complete one to `add`."""

    def __init__(
        self,
        where: str,
        store: BlobStore,
        client: RegistryClient,
        settings: PrefetchSettings,
        *,
        images: Callable[[], Sequence[LayoutImage]],
        add: Callable[[LayoutImage, ImageBlobs], None],
    ) -> None:
        """`where` is shown to users; `images` returns the images that are present."""
        self.engine = where
        self._images = images
        self._add = add
        self._blobs = store
        self._missing = MissingBlobs(client, None)
        self._downloads = DownloadPool(client, store, settings)
        self._lock = Lock()
        self._places = 0
        self._fetched: dict[str, ImageBlobs] = {}
        """Images fetched in this run, by digest."""
        self.store: ImageStore = _LayoutStore(images, self._tag)

    def pull(
        self,
        request: PullRequest,
        *,
        cancel: Cancellation,
        clocks: Timeouts,  # noqa: ARG002 - downloads have their own time limits
        progress: ProgressSink,
    ) -> EngineResult:
        platform = request.platform or self.store.facts().platform
        if platform is None:
            raise EngineError("the platform of this machine is unknown: add --platform")
        with self._lock:
            self._places, place = self._places + 1, self._places
        try:
            entry = self._missing.look_up(request, platform)
        except RegistryError as error:
            raise EngineError(error.message, status=error.status) from None
        if entry is None:
            raise EngineError(f"{request.reference.registry} does not answer", kind=FailureKind.REGISTRY_UNAVAILABLE)
        blobs = self._downloads.fetch(entry.missing, request.reference, place)
        for blob in blobs:
            self._downloads.prioritize(blob)
            while not blob.done:
                cancel.check()
                progress(_progress(request, blobs))
                blob.wait(blob.size, _TICK)
            if blob.failure:
                raise EngineError(blob.failure)
        self._save(request.reference, entry)
        return EngineResult(entry.digest, up_to_date=not any(blob.fetched for blob in blobs))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:  # noqa: ARG002
        digests = tuple(each.digest for each in self._images() if each.name == reference)
        return InspectedImage(digests[0], digests) if digests else NOTHING

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        self._downloads.close()

    def _tag(self, digest: str, name: ImageReference) -> None:
        """Add a name to a fetched image; an image from a mirror gets its requested name so."""
        entry = self._fetched.get(digest)
        if entry is not None:
            self._save(name, entry)

    def _save(self, name: ImageReference, entry: ImageBlobs) -> None:
        self._fetched[entry.digest] = entry
        try:
            for document in entry.documents:
                self._blobs.add(document.digest, document.raw)
            first = entry.documents[0]
            self._add(LayoutImage(first.digest, len(first.raw), first.media_type, name), entry)
        except (OSError, ValueError) as error:
            raise EngineError(f"cannot write {self.engine}: {error}", kind=FailureKind.IO_ERROR) from None


class _LayoutStore:
    """The images of a folder or an archive; implements `ImageStore`."""

    def __init__(self, images: Callable[[], Sequence[LayoutImage]], tag: Callable[[str, ImageReference], None]) -> None:
        self._images = images
        self._tag = tag

    def holdings(self) -> LocalImages:
        return LocalImages(self._local_images())

    def facts(self) -> EngineInfo:
        info = read_info({"OSType": "linux", "Architecture": os.uname().machine}, local=True)
        return info._replace(keeps_platforms=True)  # a name can refer to an index with all its platforms

    def platforms(
        self,
        identities: Sequence[str],  # noqa: ARG002
        asked: Platform | None = None,  # noqa: ARG002
    ) -> Mapping[str, Platform]:
        return {}

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:  # noqa: ARG002
        return ()

    def layer_sizes(self, identity: str) -> tuple[int, ...]:  # noqa: ARG002
        return ()

    def containers(self) -> tuple[Container, ...]:
        return ()

    def tag(self, source: str, target: ImageReference) -> None:
        self._tag(source.partition("@")[2], target)

    def untag(self, name: str) -> None:
        """Do nothing: exported images stay."""

    def _local_images(self) -> Iterator[LocalImage]:
        for each in self._images():
            if each.name:
                tags = (f"{each.name.name}:{each.name.tag}",) if each.name.tag else ()
                yield LocalImage(each.digest, tags, (f"{each.name.name}@{each.digest}",))


def _progress(request: PullRequest, blobs: Sequence[BlobDownload]) -> Progress:
    return Progress(
        request,
        Phase.DOWNLOADING,
        current=sum(blob.fetched for blob in blobs),
        total=sum(blob.expected for blob in blobs),
        layers_done=sum(blob.path is not None for blob in blobs),
        layers=len(blobs),
    )


class LayoutIndex:
    """The `index.json` of a folder; thread-safe. Entries of other programs are kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def read(self) -> tuple[LayoutImage, ...]:
        """Return the images; raises OSError, and ValueError for an invalid index."""
        return read_index(files.read(self._path))

    def add(self, image: LayoutImage) -> None:
        """Add an image, and replace the one with the same name; raises OSError and ValueError."""
        with self._lock:
            others = [each for each in self.read() if image.name is None or each.name != image.name]
            if image not in others:
                others.append(image)
            with files.replacing(self._path) as file:
                file.write(index_text(others).encode())


@dataclass(slots=True)
class ArchiveBuilder:
    """An archive for `docker load`: an OCI image layout with docker's `manifest.json`."""

    images: list[tuple[LayoutImage, ImageBlobs]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(self, image: LayoutImage, entry: ImageBlobs) -> None:
        """Add an image, and replace the one with the same name."""
        with self._lock:
            self.images = [each for each in self.images if each[0].name != image.name] + [(image, entry)]

    def added(self) -> list[LayoutImage]:
        return [image for image, _ in self.images]

    def write(self, path: Path, store: BlobStore) -> None:
        """Write the file atomically; raises OSError. The same images give the same bytes."""
        images = sorted(self.images, key=lambda each: each[0].name.canonical if each[0].name else "")
        digests = {document.digest for _, entry in images for document in entry.documents}
        digests |= {part.digest for _, entry in images for part in (entry.parts.config, *entry.parts.layers)}
        docker = [docker_entry(image.name, entry.parts) for image, entry in images if image.name]
        with files.replacing(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            _add_text(tar, "oci-layout", _LAYOUT)
            _add_text(tar, "index.json", index_text(image for image, _ in images))
            _add_text(tar, "manifest.json", json.dumps(docker))
            for digest in sorted(digests):
                with store.path(digest).open("rb") as blob:
                    entry = _tar_entry(blob_path(digest), os.fstat(blob.fileno()).st_size)
                    tar.addfile(entry, blob)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    tar.addfile(_tar_entry(name, len(data)), io.BytesIO(data))


def _tar_entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry
