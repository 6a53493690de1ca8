"""One file that `docker load` takes, whatever the store: an OCI image layout with docker's own list beside it."""

import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from puller.blobs.missing import ImageBlobs
from puller.blobs.store import BlobStore
from puller.image.oci_layout import LayoutImage, blob_path, docker_entry, index_text
from puller.system import files

_LAYOUT = '{"imageLayoutVersion": "1.0.0"}\n'


@dataclass(slots=True)
class ArchiveBuilder:
    """The images that an archive shall hold."""

    images: list[tuple[LayoutImage, ImageBlobs]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def put(self, image: LayoutImage, entry: ImageBlobs) -> None:
        """Add one; a name stands for the last image that was added under it."""
        with self._lock:
            self.images = [each for each in self.images if each[0].name != image.name] + [(image, entry)]

    def held(self) -> list[LayoutImage]:
        """Give what was added."""
        return [image for image, _ in self.images]

    def write(self, path: Path, store: BlobStore) -> None:
        """Write the file, whole or not at all; raises OSError. The same images give the same bytes."""
        images = sorted(self.images, key=lambda each: each[0].name.canonical if each[0].name else "")
        digests = {document.digest for _, entry in images for document in entry.documents}
        digests |= {part.digest for _, entry in images for part in (entry.parts.config, *entry.parts.layers)}
        docker = [docker_entry(image.name, entry.parts) for image, entry in images if image.name]
        with files.replacing(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, "oci-layout", _LAYOUT)
            _add(tar, "index.json", index_text(image for image, _ in images))
            _add(tar, "manifest.json", json.dumps(docker))
            for digest in sorted(digests):
                with store.path(digest).open("rb") as blob:
                    entry = _entry(blob_path(digest), os.fstat(blob.fileno()).st_size)
                    tar.addfile(entry, blob)


def _add(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    tar.addfile(_entry(name, len(data)), io.BytesIO(data))


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry
