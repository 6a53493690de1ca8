"""Loading images from files: the engine pulls them from a registry on loopback, and they get their names.

A containerd store then has names and digests as after a pull. A graph-driver store has the name and the same image ID,
but no digest: it records a repository's digest (`RepoDigests`) only when it pulls from that repository.
"""

import json
import tarfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from puller.blobs.download_task import BlobDownload
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, EngineWrapper, ProgressSink
from puller.errors import EngineError, FailureKind, RegistryError, UsageError
from puller.events import Progress
from puller.image.manifest import Manifest, read_index as read_entries
from puller.image.oci_layout import LayoutImage, blob_path, read_index
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.text import clean

_LARGEST = 4 << 20
"""Bytes of a manifest or index."""


class LayoutImages:
    """The images in a folder or an archive; implements `loopback_registry.Source`."""

    def __init__(self, path: Path) -> None:
        """Read the index; raises UsageError for anything but an OCI image layout or an archive of one."""
        self._places: dict[str, tuple[Path, int, int]] = {}
        try:
            self._locate(path)
            index = self._read("index.json")
            if index is None:
                raise UsageError(f"{path}: is not an OCI image layout: it has no index.json")
            self.named = read_index(index)
        except (OSError, ValueError, tarfile.TarError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(clean(f"{path}: cannot be read as an OCI image layout: {reason}")) from None

    def requests(self, own: Platform | None) -> dict[PullRequest, LayoutImage]:
        """Return the requests for all named images, for the engine's own platform if an image has it."""
        found = {}
        for image in self.named:
            if name := image.name:
                tag = name.tag or image.digest.replace(":", "-")
                reference = ImageReference.parse(f"{name.name}:{tag}")
                found[PullRequest(reference, self._platform(image, own))] = image
        return found

    def document(self, digest: str) -> tuple[str, bytes] | None:
        raw = self._read(blob_path(digest))
        if raw is None:
            return None
        with suppress(ValueError, AttributeError):
            named = next((image.media_type for image in self.named if image.digest == digest), "")
            return str(json.loads(raw).get("mediaType") or named), raw
        return None

    def blob(self, digest: str) -> BlobDownload | None:
        """See `Source.blob`. The digest is not checked here: the engine does that."""
        place = self._places.get(blob_path(digest))
        if place is None:
            return None
        path, offset, size = place
        return BlobDownload(digest, size, ImageReference.parse("none"), (0, 0, 0), path, offset)

    def _locate(self, path: Path) -> None:
        if path.is_dir():
            for file in (path / "index.json", *path.glob("blobs/*/*")):
                self._places[str(file.relative_to(path))] = (file, 0, file.stat().st_size)
            return
        with tarfile.open(path, "r:") as tar:
            for entry in tar:
                if entry.isreg():
                    self._places[entry.name.removeprefix("./")] = (path, entry.offset_data, entry.size)

    def _read(self, name: str) -> bytes | None:
        path, offset, size = self._places.get(name) or (None, 0, 0)
        if path is None or size > _LARGEST:
            return None
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def _platform(self, image: LayoutImage, own: Platform | None) -> Platform | None:
        """Return the platform of an index if only one manifest is present, and that is not for the engine's own."""
        raw = self._read(blob_path(image.digest)) or b"{}"
        try:
            entries = read_entries(Manifest(raw, image.media_type, image.digest)) or ()
        except RegistryError:
            return None
        platforms = [each.platform for each in entries if each.platform and blob_path(each.digest) in self._places]
        return platforms[0] if len(platforms) == 1 and platforms[0] != own else None


class LoadEngine(EngineWrapper):
    """Pulls each image from loopback, and gives it the name that it has in the files."""

    def __init__(self, engine: Engine, images: dict[PullRequest, LayoutImage], server: LoopbackRegistry) -> None:
        super().__init__(engine)
        self._names = {
            request: ImageReference.parse(f"{server.name(f'n{place}')}@{image.digest}")
            for place, (request, image) in enumerate(images.items())
        }

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull from loopback, set the name, and remove the name on loopback; see `Engine.pull`."""
        cancel.check()
        name = self._names.get(request)
        if name is None:
            raise EngineError(f"the files have no image {request.reference.text}", kind=FailureKind.NOT_FOUND)
        source, own = f"{name.name}@{name.digest}", PullRequest(name, request.platform)

        def relay(event: Progress) -> None:
            progress(replace(event, request=request))

        try:
            pulled = self._engine.pull(own, cancel=cancel, clocks=clocks, progress=relay)
            self._engine.store.tag(source, request.reference)
        finally:
            with suppress(EngineError):
                self._engine.store.untag(source)
        return EngineResult(name.digest, up_to_date=pulled.up_to_date)
