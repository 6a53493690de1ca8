"""Loading images from files: the engine pulls them from a registry on loopback, and they get their names.

A containerd store then has names and digests as after a pull. A graph-driver store has the name and the same image ID,
but no digest: it records a repository's digest (`RepoDigests`) only when it pulls from that repository.
"""

import tarfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from puller.blobs.download_task import BlobDownload
from puller.blobs.loopback_registry import LoopbackRegistry
from puller.cancellation import Cancellation
from puller.engine.interface import Engine, EngineWrapper, ProgressSink
from puller.errors import EngineError, FailureKind, RegistryError, UsageError
from puller.events import Progress
from puller.failure import failure_of
from puller.image.digest import matches, sha256
from puller.image.manifest import INDEX_TYPES, Manifest, read_index as read_entries, subject_of
from puller.image.oci_layout import LayoutImage, blob_path, index_text, read_index
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts
from puller.text import clean

_LARGEST = 4 << 20
"""Bytes of a manifest or index."""
_MOST_FILES = 200_000
"""Files in a folder or archive: a thousand large images have about 20,000."""
_DAMAGED = {FailureKind.DIGEST_MISMATCH, FailureKind.SIZE_MISMATCH, FailureKind.LAYER_CORRUPT}
_ADVICE = "Write or copy the files again: they are damaged."
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd", b'\x04"M\x18': "lz4"}
"""Compressed files by their first bytes; the program that decompresses them has the same name."""


class LayoutImages:
    """The images in a folder or an archive; implements `loopback_registry.Source`."""

    def __init__(self, path: Path) -> None:
        """Read the index; raises UsageError for anything but an OCI image layout or an archive of one."""
        self._places: dict[str, tuple[Path, int, int]] = {}
        try:
            self._locate(path)
            index = self._read("index.json")
            if index is None:
                old = "manifest.json" in self._places
                words = "has the old format of docker save, without" if old else "is not an OCI image layout: it has no"
                raise UsageError(f"{path}: {words} index.json" + (": use docker load" if old else ""))
            self.named = read_index(index)
        except (OSError, ValueError, tarfile.TarError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(clean(f"{path}: cannot be read as an OCI image layout: {reason}")) from None

    def requests(self, own: Platform | None) -> dict[PullRequest, LayoutImage]:
        """Return the requests for all named images, for the engine's own platform if an image has it."""
        found = {}
        for image in self.named:
            if (name := image.name) and not image.signs:
                tag = name.tag or image.digest.replace(":", "-")
                reference = ImageReference.parse(f"{name.name}:{tag}")
                found[PullRequest(reference, self._platform(image, own))] = image
        return found

    def document(self, name: str) -> Manifest | None:
        named = next((each for each in self.named if name in (each.digest, each.name and each.name.tag)), None)
        digest = named.digest if named else name
        return Manifest.of(self._read(blob_path(digest)) or b"", named.media_type if named else "", digest)

    def referrers(self, digest: str) -> Manifest | None:
        """See `Source.referrers`; they have no names of their own."""
        extras = [(each, self.document(each.digest)) for each in self.named if each.name is None]
        found = [each for each, document in extras if document and subject_of(document) == digest]
        raw = index_text(found).encode()
        return Manifest(raw, INDEX_TYPES[0], sha256(raw))

    def blob(self, digest: str) -> BlobDownload | None:
        """See `Source.blob`. The digest is not checked here: the engine does that."""
        place = self._places.get(blob_path(digest))
        if place is None:
            return None
        path, offset, size = place
        return BlobDownload(digest, size, ImageReference.parse("none"), (0, 0, 0), path, offset)

    def _locate(self, path: Path) -> None:
        for number, (name, place) in enumerate(_files_in(path)):
            if number == _MOST_FILES:
                raise UsageError(f"{path}: has more than {_MOST_FILES:,} files")
            self._places[name] = place

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


def _files_in(path: Path) -> Iterator[tuple[str, tuple[Path, int, int]]]:
    """Yield the names in a folder or an archive, and the file, the offset and the size of each."""
    if path.is_dir():
        for file in filter(Path.is_file, chain(path.glob("*.json"), path.glob("blobs/*/*"))):
            yield str(file.relative_to(path)), (file, 0, file.stat().st_size)
        return
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is neither a folder nor a file")
    with path.open("rb") as archive:
        start = archive.read(8)
    for magic, program in _COMPRESSED.items():
        if start.startswith(magic):
            raise UsageError(f"{path}: is compressed with {program}: decompress it first ({program} -d {path})")
    with tarfile.open(path, "r:") as tar:
        for entry in tar:
            yield entry.name.removeprefix("./") if entry.isreg() else "", (path, entry.offset_data, entry.size)


class LoadEngine(EngineWrapper):
    """Pulls each image from loopback, and gives it the name that it has in the files."""

    def __init__(self, engine: Engine, images: dict[PullRequest, LayoutImage], server: LoopbackRegistry) -> None:
        super().__init__(engine)
        self._source = server.source
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
        document = self._source.document(name.digest or "")
        if document is None or not matches(document.digest, document.raw):
            words = f"the files have no manifest {name.digest}, or a damaged one"
            raise EngineError(words, kind=FailureKind.DIGEST_MISMATCH, permanent=_ADVICE)
        source, own = f"{name.name}@{name.digest}", PullRequest(name, request.platform)

        def relay(event: Progress) -> None:
            progress(event._replace(request=request))

        try:
            pulled = self._engine.pull(own, cancel=cancel, clocks=clocks, progress=relay)
            self._engine.store.tag(source, request.reference)
        except EngineError as error:
            if (kind := failure_of(error).kind) in _DAMAGED:  # the files will not change
                raise EngineError(error.message, status=error.status, kind=kind, permanent=_ADVICE) from None
            raise
        finally:
            with suppress(EngineError):
                self._engine.store.untag(source)
        return EngineResult(name.digest, up_to_date=pulled.up_to_date)
