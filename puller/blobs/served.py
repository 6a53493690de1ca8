"""The manifests and blobs that a registry on loopback serves; what is not there yet is fetched when it is needed."""

from collections.abc import Callable
from contextlib import suppress

from puller.blobs.download_pool import DownloadPool
from puller.blobs.download_task import BlobDownload
from puller.errors import RegistryError
from puller.image.manifest import Descriptor, Manifest, descriptor_of, descriptors_in
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient


class ServedImages:
    """Everything that known images name; implements `loopback_registry.Source`."""

    def __init__(self, client: RegistryClient, downloads: DownloadPool) -> None:
        """Use a client and downloads, which the caller closes."""
        self._client, self._downloads = client, downloads
        self._documents: dict[str, Manifest] = {}
        self._known: dict[str, tuple[Descriptor, ImageReference, int]] = {}
        """Everything that the images name, with such an image and the place of that image."""

    def add(self, document: Manifest, source: ImageReference, place: int) -> Manifest:
        """Serve a manifest, and what it names, for the image at this place of the list."""
        self._documents[document.digest] = document
        for part in (descriptor_of(document), *descriptors_in(document)):
            self._known.setdefault(part.digest, (part, source, place))
        return document

    def document(self, name: str) -> Manifest | None:
        """See `Source.document`. An attestation, for example, is fetched now."""
        return self._documents.get(name) or self._ask(name, self._client.manifest)

    def referrers(self, digest: str) -> Manifest | None:
        return self._ask(digest, self._client.referrers)

    def blob(self, digest: str) -> BlobDownload | None:
        """See `Source.blob`. A blob that the engine seemed to have is downloaded now."""
        known = self._known.get(digest)
        if known is None:
            return None
        part, source, place = known
        (blob,) = self._downloads.fetch((part,), source, place)
        self._downloads.queue.prioritize(blob)
        return blob

    def _ask(self, name: str, ask: Callable[[ImageReference, str], Manifest]) -> Manifest | None:
        known = self._known.get(name.replace("-", ":", 1))
        with suppress(RegistryError):
            if known:
                return self.add(ask(known[1], name), known[1], known[2])
        return None
