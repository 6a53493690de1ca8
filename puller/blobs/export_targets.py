"""Where `--to` writes images: the `index.json` of a folder, or an archive for `docker load`."""

import errno
import io
import json
import os
import tarfile
from pathlib import Path

from puller.blobs.missing import ImageBlobs
from puller.blobs.store import LAYOUT, BlobStore
from puller.image.manifest import Manifest, subject_of
from puller.image.oci_layout import LayoutImage, blob_path, docker_entry, index_text, read_index
from puller.image.reference import ImageReference
from puller.system import files


class LayoutIndex:
    """The `index.json` of a folder, for many threads and several runs. Entries of other programs are kept."""

    def __init__(self, store: BlobStore) -> None:
        """Read the index; raises as `images`."""
        self._store = store
        self._path = store.root / "index.json"
        self.images()

    def images(self) -> tuple[LayoutImage, ...]:
        """Return the images; raises OSError, also for an invalid index."""
        try:
            return read_index(files.read(self._path))
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error)) from None

    def replace(self, name: ImageReference, entry: ImageBlobs | None) -> None:
        """Replace the image of a name, or remove it without an entry; raises OSError."""
        with self._store.locked():
            images = [each for each in self.images() if each.name != name]
            images += [_image(entry.documents[0], name)] if entry else []
            # What is not in an image's index is found here.
            extras = _extras(name, entry) if entry else []
            names = {each.name for each in extras if each.name}
            images = [each for each in images if each not in extras and each.name not in names] + extras
            with files.replacing(self._path) as file:
                file.write(index_text(images).encode())


class ArchiveBuilder:
    """An archive for `docker load`: an OCI image layout with docker's `manifest.json`."""

    def __init__(self) -> None:
        self._images: dict[ImageReference, ImageBlobs] = {}
        self._digests: set[str] = set()
        """All blobs; images for several platforms may share a name."""

    def images(self) -> list[LayoutImage]:
        return [_image(entry.documents[0], name) for name, entry in list(self._images.items())]

    def replace(self, name: ImageReference, entry: ImageBlobs | None) -> None:
        """Replace the image of a name, or remove it without an entry."""
        self._images.pop(name, None)
        if entry:
            self._images[name] = entry
            self._digests.update(each.digest for each in (*entry.documents, *entry.extras))
            self._digests.update(each.digest for each in entry.missing)

    def write(self, path: Path, store: BlobStore) -> None:
        """Write the file atomically if there is any image; raises OSError. The same images give the same bytes."""
        if not self._images:
            return
        images = sorted(self._images.items(), key=lambda each: each[0].canonical)
        extras = dict.fromkeys(each for name, entry in images for each in _extras(name, entry))
        named = [_image(entry.documents[0], name) for name, entry in images]
        docker = [docker_entry(name, entry.parts) for name, entry in images]
        texts = {"oci-layout": LAYOUT, "index.json": index_text((*named, *extras))}
        with files.replacing(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, text in (texts | {"manifest.json": json.dumps(docker)}).items():
                tar.addfile(_tar_entry(name, len(text)), io.BytesIO(text.encode()))
            for digest in sorted(self._digests):
                with store.path(digest).open("rb") as blob:
                    tar.addfile(_tar_entry(blob_path(digest), os.fstat(blob.fileno()).st_size), blob)


ExportTarget = LayoutIndex | ArchiveBuilder


def _image(document: Manifest, name: ImageReference | None) -> LayoutImage:
    return LayoutImage(document.digest, len(document.raw), document.media_type, name)


def _extras(name: ImageReference, entry: ImageBlobs) -> list[LayoutImage]:
    """Return the extras of an image that no index names: those with a subject, and those with a tag of cosign's."""
    tagged = {digest: name.with_tag(tag) for digest, tag in entry.tags.items()}
    found = [each for each in entry.extras if each.digest in tagged or subject_of(each)]
    return [_image(each, tagged.get(each.digest)) for each in found]


def _tar_entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry
