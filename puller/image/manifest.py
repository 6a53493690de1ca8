"""What an image consists of in a registry: documents and layers, read from manifests that others have written."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from puller.errors import RegistryError
from puller.image.digest import is_digest
from puller.image.reference import Platform

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
SINGLE_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_MOST = 4096
"""Entries of one document: an image has 127 layers at most, an index a few dozen platforms."""
_LARGEST = 1 << 50
"""Bytes of a blob; more is nonsense that would spoil every sum."""
_ATTESTATION = "unknown"
"""The operating system and architecture of what is no image, in an index of buildx."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index, byte by byte as the registry has it, checked against its digest."""

    raw: bytes
    media_type: str
    digest: str


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One blob or document, as a manifest names it (OCI image spec "Content Descriptors")."""

    digest: str
    size: int
    media_type: str = ""
    platform: Platform | None = None
    diff_id: str | None = None
    """The digest of a layer unpacked."""
    unpacked: int | None = None
    """Bytes of a layer unpacked, where that is known."""

    @property
    def compressed(self) -> bool:
        """Whether a layer has to grow when it is unpacked: its media type says so."""
        return not self.media_type.endswith(".tar")


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """One image for one platform: all that a pull of it may fetch."""

    documents: tuple[Descriptor, ...]
    """The manifest, and before it the index that led to it."""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    """Base first."""

    def with_config(self, raw: bytes) -> "ImageManifest":
        """Learn the layers' diff IDs from the config; one that tells none, as an artifact's, leaves them unknown."""
        try:
            known = json.loads(raw)["rootfs"]["diff_ids"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return self
        if not isinstance(known, list) or len(known) != len(self.layers) or not all(map(_good, known)):
            return self
        return replace(
            self,
            layers=tuple(replace(layer, diff_id=diff_id) for layer, diff_id in zip(self.layers, known, strict=True)),
        )


def descriptor_of(manifest: Manifest) -> Descriptor:
    """Describe a document that was fetched."""
    return Descriptor(manifest.digest, len(manifest.raw), manifest.media_type)


def read_index(manifest: Manifest) -> tuple[Descriptor, ...] | None:
    """Read the images of an index (OCI image spec "Image Index"); None for a document that is none."""
    document = _document(manifest)
    entries = document.get("manifests")
    if not isinstance(entries, list):
        return None
    parts = (_part(entry) for entry in entries[:_MOST] if isinstance(entry, dict) and not _attests(entry))
    return tuple(part for part in parts if part)


def platforms_in(index: Manifest) -> tuple[Platform, ...]:
    """List the platforms of an index's images; raises RegistryError for what is no index."""
    entries = read_index(index)
    if entries is None:
        raise RegistryError(f"the index {index.digest} cannot be read")
    return tuple(entry.platform for entry in entries if entry.platform)


def read_image(documents: Iterable[Descriptor], manifest: Manifest) -> ImageManifest:
    """Read an image's manifest (OCI image spec "Image Manifest"); raises RegistryError for anything else."""
    document = _document(manifest)
    config, layers = _part(document.get("config")), document.get("layers")
    if config is None or not isinstance(layers, list) or len(layers) > _MOST:
        raise _trouble(manifest)
    parts = tuple(_part(layer) for layer in layers)
    if not all(parts):
        raise _trouble(manifest)
    return ImageManifest((*documents, descriptor_of(manifest)), config, tuple(part for part in parts if part))


def _document(manifest: Manifest) -> dict[str, Any]:
    try:
        document = json.loads(manifest.raw)
    except (ValueError, RecursionError):
        raise _trouble(manifest) from None
    if not isinstance(document, dict):
        raise _trouble(manifest)
    return document


def _trouble(manifest: Manifest) -> RegistryError:
    return RegistryError(f"{manifest.digest} is no manifest of an image ({manifest.media_type or 'no type'})")


def _part(entry: Any) -> Descriptor | None:
    if not isinstance(entry, dict):
        return None
    digest, size = entry.get("digest"), entry.get("size")
    if not _good(digest) or not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST:
        return None
    return Descriptor(str(digest), size, str(entry.get("mediaType") or ""), _platform(entry.get("platform")))


def _good(digest: Any) -> bool:
    return isinstance(digest, str) and is_digest(digest)


def _attests(entry: dict[str, Any]) -> bool:
    platform = entry.get("platform")
    return isinstance(platform, dict) and platform.get("os") == _ATTESTATION


def _platform(said: Any) -> Platform | None:
    if not isinstance(said, dict):
        return None
    words = "/".join(str(said[key]) for key in ("os", "architecture", "variant") if said.get(key))
    try:
        return Platform.parse(words)
    except ValueError:
        return Platform(_ATTESTATION, words)  # nobody's: it must not be taken for one that is for any
