"""Manifests: the image that an engine selects for a platform, through an index or nested ones."""

from typing import Protocol

from puller.errors import FailureKind, RegistryError
from puller.image.manifest import ImageManifest, Manifest, descriptor_of, read_image, read_index
from puller.image.platform import best_entry
from puller.image.reference import ImageReference, Platform
from puller.registry.responses import Described

_DEEPEST = 3
"""Nested indexes to follow."""


class NoPlatformError(RegistryError):
    """An index has no image for the platform: a pull would fail."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind=FailureKind.NO_MATCHING_PLATFORM)


class Manifests(Protocol):
    """The methods of `RegistryClient` that read manifests."""

    def head(self, reference: ImageReference) -> Described:
        """See `RegistryClient.head`."""

    def manifest(self, reference: ImageReference, digest_or_tag: str | None = None) -> Manifest:
        """See `RegistryClient.manifest`."""


def parts_of(client: Manifests, reference: ImageReference, digest: str, platform: Platform) -> ImageManifest:
    """Describe the image that an engine selects for a platform; raises as `manifests_of`."""
    *leading, manifest = manifests_of(client, reference, digest, platform)
    return read_image(map(descriptor_of, leading), manifest)


def manifests_of(client: Manifests, reference: ImageReference, digest: str, platform: Platform) -> tuple[Manifest, ...]:
    """Fetch the manifest that an engine selects for a platform, and before it the index or indexes it is in.

    Raises RegistryError, and NoPlatformError if there is no image for the platform.
    """
    documents: list[Manifest] = []
    for _ in range(_DEEPEST):
        documents.append(client.manifest(reference, digest))
        entries = read_index(documents[-1])
        if entries is None:
            return tuple(documents)
        entry = best_entry(entries, platform)
        if entry is None:
            there = ", ".join(dict.fromkeys(str(each.platform) for each in entries))
            raise NoPlatformError(f"no matching manifest for {platform} in the manifest list entries: {there}")
        digest = entry.digest
    words = f"{reference.registry}: its indexes are nested too deeply"
    raise RegistryError(words, kind=FailureKind.UNSUPPORTED_MANIFEST)
