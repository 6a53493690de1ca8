"""Images from files into an engine: it pulls them from our registry on loopback, and they get their names.

What an engine keeps differs. The containerd store has names and digests as after a pull. The graph-driver store has the
name and the very same image ID; it notes a repository's digest (`RepoDigests`) only when it pulls from there itself.
"""

import json
import tarfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from puller.blobs.download_task import BlobDownload
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, ImageStore, InspectedImage, ProgressSink
from puller.errors import EngineError, UsageError
from puller.image.oci_layout import LayoutImage, blob_path, read_index
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.text import clean

_LARGEST = 4 << 20
"""Bytes of a document."""
_KEYS = ("os", "architecture", "variant")


class LayoutImages:
    """The images of a folder or of an archive, as they lie there; fulfils `loopback_registry.Source`."""

    def __init__(self, path: Path) -> None:
        """Look what is there; raises UsageError for what is neither an OCI image layout nor an archive of one."""
        self._places: dict[str, tuple[Path, int, int]] = {}
        try:
            self._find(path)
            index = self._read("index.json")
            if index is None:
                raise UsageError(f"{path}: has no index.json, and so is no OCI image layout")
            self.named = read_index(index)
        except (OSError, ValueError, tarfile.TarError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(clean(f"{path}: cannot be read as an OCI image layout: {reason}")) from None

    def requests(self, own: Platform | None) -> dict[PullRequest, LayoutImage]:
        """Say what can be pulled, for the engine's own platform where an image has that."""
        found = {}
        for image in self.named:
            if name := image.name:
                tag = name.tag or image.digest.replace(":", "-")
                reference = ImageReference.parse(f"{name.name}:{tag}")
                found[PullRequest(reference, self._platform(image, own))] = image
        return found

    def document(self, digest: str) -> tuple[str, bytes] | None:
        """Give a manifest."""
        raw = self._read(blob_path(digest))
        if raw is None:
            return None
        with suppress(ValueError, AttributeError):
            return str(json.loads(raw).get("mediaType") or self._said(digest)), raw
        return None

    def blob(self, digest: str) -> BlobDownload | None:
        """Give a blob: engines check them, and so we need not."""
        place = self._places.get(blob_path(digest))
        if place is None:
            return None
        path, offset, size = place
        blob = BlobDownload(digest, size, ImageReference.parse("none"), (0, 0, 0))
        blob.path, blob.offset = path, offset
        return blob

    def _find(self, path: Path) -> None:
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

    def _said(self, digest: str) -> str:
        return next((image.media_type for image in self.named if image.digest == digest), "")

    def _platform(self, image: LayoutImage, own: Platform | None) -> Platform | None:
        """Name the platform of an index that has none of this engine's: the only one whose manifest is there."""
        there = []
        for entry in self._entries(image.digest):
            if blob_path(str(entry.get("digest"))) in self._places:
                said = entry.get("platform") or {}
                with suppress(ValueError):
                    there.append(Platform.parse("/".join(str(said[key]) for key in _KEYS if said.get(key))))
        return there[0] if len(there) == 1 and there[0] != own else None

    def _entries(self, digest: str) -> list[dict[str, Any]]:
        try:
            return list(json.loads(self._read(blob_path(digest)) or b"{}").get("manifests") or ())
        except (ValueError, AttributeError):
            return []


class LoadEngine:
    """Fulfils `Engine`: an image is pulled from loopback, and named as it is in the files."""

    def __init__(self, engine: Engine, images: dict[PullRequest, LayoutImage], server: LoopbackRegistry) -> None:
        self._engine = engine
        self._images = images
        self._names = {
            request: ImageReference.parse(f"{server.name(f'n{place}')}@{image.digest}")
            for place, (request, image) in enumerate(images.items())
        }

    @property
    def engine(self) -> str:
        """The same engine."""
        return self._engine.engine

    @property
    def store(self) -> ImageStore:
        """The same images."""
        return self._engine.store

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull from loopback, give it its name, and take that of loopback away; see `Engine.pull`."""
        name = self._names[request]
        source = f"{name.name}@{name.digest}"
        try:
            pulled = self._engine.pull(
                PullRequest(name, request.platform),
                cancel=cancel,
                clocks=clocks,
                progress=lambda seen: progress(replace(seen, request=request)),
            )
            self._engine.store.tag(source, request.reference)
        finally:
            with suppress(EngineError):
                self._engine.store.untag(source)
        return EngineResult(name.digest, up_to_date=pulled.up_to_date)

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Ask the engine."""
        return self._engine.inspect(reference, cancel=cancel)

    def alive(self) -> bool:
        """Ask the engine."""
        return self._engine.alive()

    def close(self) -> None:
        """Close the engine's connections."""
        self._engine.close()
