"""Manifests: the image that an engine selects for a platform, through an index or nested ones."""

from contextlib import AbstractContextManager
from typing import Protocol

from puller.errors import FailureKind, RegistryError
from puller.image.manifest import ImageManifest, Manifest, descriptor_of, read_image, read_index
from puller.image.platform import best_entry, is_same, not_for
from puller.image.reference import ImageReference, Platform
from puller.registry.blob import Blob
from puller.registry.responses import Described

_DEEPEST = 3
"""Nested indexes to follow."""
_LARGEST_CONFIG = 4 << 20


class NoPlatformError(RegistryError):
    """There is no image for the platform: a pull would fail."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind=FailureKind.NO_MATCHING_PLATFORM)


class Manifests(Protocol):
    """The methods of `RegistryClient` that read manifests."""

    def head(self, reference: ImageReference) -> Described:
        """See `RegistryClient.head`."""

    def manifest(self, reference: ImageReference, digest_or_tag: str | None = None) -> Manifest:
        """See `RegistryClient.manifest`."""

    def blob(self, reference: ImageReference, digest: str) -> AbstractContextManager[Blob]:
        """See `RegistryClient.blob`."""


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
            there = ", ".join(dict.fromkeys(str(each.platform) for each in entries)) or "no image"
            raise NoPlatformError(f"no matching manifest for {platform} in the manifest list entries: {there}")
        digest = entry.digest
    words = f"{reference.registry}: its indexes are nested too deeply"
    raise RegistryError(words, kind=FailureKind.UNSUPPORTED_MANIFEST)


def config_of(client: Manifests, reference: ImageReference, parts: ImageManifest) -> bytes:
    """Fetch an image's config and check its digest; raises RegistryError, also if it is too large."""
    with client.blob(reference, parts.config.digest) as blob:
        return blob.read(_LARGEST_CONFIG)


def check_platform(requested: Platform | None, image: Platform | None) -> None:
    """Raise NoPlatformError for an image that does not have the requested platform, if both are known."""
    if requested and image and not is_same(requested, image):
        raise NoPlatformError(not_for(requested, image))
