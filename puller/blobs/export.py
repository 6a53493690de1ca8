"""Images pulled into files: an engine that only fetches images and writes them down.

It fulfils `Engine`, so that lists, policies, retries, reports and exit codes are those of any other pull.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock

from puller.blobs.archive import ArchiveBuilder
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
from puller.image.oci_layout import LayoutImage, index_text, read_index
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.registry.client import RegistryClient
from puller.settings import PrefetchMode, PrefetchSettings, Settings, Timeouts
from puller.system import files
from puller.system.paths import cache_home

_TICK = 0.2
"""Seconds between two looks at how far an image has come."""
_IMAGES = 16
"""Images at a time, at least: for each there is a thread that waits."""


def layout_settings(settings: Settings) -> Settings:
    """Give the settings of a session whose images go into files: without a disk check, and without prefetching."""
    prefetch = replace(settings.prefetch, mode=PrefetchMode.NEVER)
    return replace(settings, jobs=max(settings.jobs, _IMAGES), prefetch=prefetch, disk_check=False)


@contextmanager
def open_layout(path: Path, settings: Settings, client: RegistryClient, *, archive: bool) -> Iterator["LayoutEngine"]:
    """Open a folder, or an archive that is written at the end, as an engine that fetches with a registry client.

    Raises UsageError for a place that cannot be used, PullerError when it cannot be written.
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
                engine = LayoutEngine(where, store, client, fetching, held=images.held, put=images.put)
            else:
                store, index = BlobStore(path, None), LayoutIndex(path / "index.json")
                stack.callback(store.close)
                engine = LayoutEngine(
                    where, store, client, fetching, held=index.read, put=lambda image, _: index.put(image)
                )
            stack.callback(engine.close)
            yield engine
    except OSError as error:
        raise PullerError(f"cannot write {where}: {error.strerror or error}") from None


class LayoutEngine:
    """Fetches images into a store, and tells `put` of each that is whole."""

    def __init__(
        self,
        where: str,
        store: BlobStore,
        client: RegistryClient,
        settings: PrefetchSettings,
        *,
        held: Callable[[], Sequence[LayoutImage]],
        put: Callable[[LayoutImage, ImageBlobs], None],
    ) -> None:
        """`where` is for people; `held` gives what is there already."""
        self.engine = where
        self._held = held
        self._put = put
        self._blobs = store
        self._catalog = MissingBlobs(client, None)
        self._fetcher = DownloadPool(client, store, settings)
        self._lock = Lock()
        self._places = 0
        self._fetched: dict[str, ImageBlobs] = {}
        """What this run has fetched, by the digest that its name stands for."""
        self.store: ImageStore = _LayoutImages(held, self._tag)

    def pull(
        self,
        request: PullRequest,
        *,
        cancel: Cancellation,
        clocks: Timeouts,  # noqa: ARG002 - those who fetch have clocks of their own
        progress: ProgressSink,
    ) -> EngineResult:
        """Fetch what one image consists of; see `Engine.pull`."""
        platform = request.platform or self.store.facts().platform
        if platform is None:
            raise EngineError("this machine does not say what it is: name a --platform")
        with self._lock:
            self._places, place = self._places + 1, self._places
        try:
            entry = self._catalog.entry(request, platform)
        except RegistryError as trouble:
            raise EngineError(trouble.message, status=trouble.status) from None
        if entry is None:
            raise EngineError(f"{request.reference.registry} does not answer", kind=FailureKind.REGISTRY_UNAVAILABLE)
        blobs = self._fetcher.want(entry.lacking, request.reference, place)
        for blob in blobs:
            self._fetcher.hasten(blob)
            while not blob.done:
                cancel.check()
                progress(_progress(request, blobs))
                blob.wait(blob.size, _TICK)
            if blob.failure:
                raise EngineError(blob.failure)
        self._put_down(request.reference, entry)
        return EngineResult(entry.digest, up_to_date=not any(blob.fetched for blob in blobs))

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:  # noqa: ARG002
        """Look into what is there."""
        digests = tuple(each.digest for each in self._held() if each.name == reference)
        return InspectedImage(digests[0], digests) if digests else NOTHING

    def alive(self) -> bool:
        """Files are always there."""
        return True

    def close(self) -> None:
        """Fetch nothing more."""
        self._fetcher.close()

    def _tag(self, digest: str, name: ImageReference) -> None:
        """Give a fetched image one more name, as one that came from a mirror gets its own."""
        entry = self._fetched.get(digest)
        if entry is not None:
            self._put_down(name, entry)

    def _put_down(self, name: ImageReference, entry: ImageBlobs) -> None:
        self._fetched[entry.digest] = entry
        try:
            for document in entry.documents:
                self._blobs.add(document.digest, document.raw)
            first = entry.documents[0]
            self._put(LayoutImage(first.digest, len(first.raw), first.media_type, name), entry)
        except (OSError, ValueError) as error:
            raise EngineError(f"cannot write {self.engine}: {error}", kind=FailureKind.IO_ERROR) from None


class _LayoutImages:
    """What is there, in the terms of an engine; fulfils `ImageStore`."""

    def __init__(self, held: Callable[[], Sequence[LayoutImage]], tag: Callable[[str, ImageReference], None]) -> None:
        self._held = held
        self._tag = tag

    def holdings(self) -> LocalImages:
        return LocalImages(self._images())

    def facts(self) -> EngineInfo:
        info = read_info({"OSType": "linux", "Architecture": os.uname().machine}, local=True)
        return info._replace(keeps_platforms=True)  # a name stands for an index, and all of its platforms lie there

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
        """Do nothing: what is there stays."""

    def _images(self) -> Iterator[LocalImage]:
        for each in self._held():
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
    """The `index.json` of a folder, changed by several threads; what others have put into it stays."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def read(self) -> tuple[LayoutImage, ...]:
        """Give the images; raises OSError, and ValueError for what is no index."""
        return read_index(files.read(self._path))

    def put(self, image: LayoutImage) -> None:
        """Let a name stand for an image, and for no other; raises OSError and ValueError."""
        with self._lock:
            others = [each for each in self.read() if image.name is None or each.name != image.name]
            if image not in others:
                others.append(image)
            with files.replacing(self._path) as file:
                file.write(index_text(others).encode())
