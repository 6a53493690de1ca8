"""Manifests and image indexes: what an image consists of in a registry. Their content is not trusted."""

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from puller.errors import FailureKind, RegistryError
from puller.image.digest import is_digest
from puller.image.reference import Platform

INDEX_TYPES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
SINGLE_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_MAX_ENTRIES = 4096
"""An image has at most 127 layers, an index a few dozen platforms."""
_MAX_BLOB_SIZE = 1 << 40
"""Bytes; a larger size is an error and would spoil every sum."""
_ATTESTED = "vnd.docker.reference.digest"
_ATTESTATION = "unknown"
"""The operating system that buildx writes for attestations, which are index entries but not images."""
_ATTESTATION_KEY = "vnd.docker.reference.type"
"""The annotation of the entries that buildx adds for attestations."""
_CONFIG_TYPES = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
"""Artifact types of images; an entry with another one is an artifact (OCI image spec "Descriptor")."""


class Manifest(NamedTuple):
    """A manifest or an index, byte for byte as in the registry, verified against its digest."""

    raw: bytes
    media_type: str
    digest: str

    @classmethod
    def of(cls, raw: bytes, media_type: str, digest: str) -> "Manifest | None":
        """Judge a document by its content; None if it has the shape of neither a manifest nor an index.

        Its own media type takes precedence over the server's, which is often missing or wrong.
        """
        document = _object(raw) or {}
        if isinstance(document.get("manifests"), list):
            types = INDEX_TYPES
        elif isinstance(document.get("config"), dict) and isinstance(document.get("layers"), list):
            types = SINGLE_TYPES
        else:
            return None
        named = (each for each in (document.get("mediaType"), media_type) if each in types)
        return cls(raw, next(named, types[0]), digest)


class Descriptor(NamedTuple):
    """One blob, manifest or index as another document names it (OCI image spec "Content Descriptors")."""

    digest: str
    size: int
    media_type: str = ""
    platform: Platform | None = None
    diff_id: str | None = None
    """The digest of the uncompressed layer."""
    unpacked: int | None = None
    """Bytes of the uncompressed layer, if known."""

    @property
    def compressed(self) -> bool:
        return not self.media_type.endswith(".tar")

    @property
    def foreign(self) -> bool:
        """Whether the layer need not be in the registry (OCI image spec "Non-Distributable Layers")."""
        return "foreign" in self.media_type or "nondistributable" in self.media_type


class ImageManifest(NamedTuple):
    """An image for one platform: everything that a pull of it may download."""

    documents: tuple[Descriptor, ...]
    """The manifest, preceded by the index that names it, if there is one."""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    """Base layer first."""
    platform: Platform | None = None
    """The platform in the configuration, if that was read."""

    def with_config(self, raw: bytes) -> "ImageManifest":
        """Add the platform and the layers' diff IDs from the image configuration, if it has them."""
        self = self._replace(platform=platform_in(raw))  # noqa: PLW0642 - what follows adds to it
        with suppress(ValueError, LookupError, TypeError, RecursionError):
            diff_ids = json.loads(raw)["rootfs"]["diff_ids"]
            if isinstance(diff_ids, list) and len(diff_ids) == len(self.layers) and all(map(is_digest, diff_ids)):
                layers = (layer._replace(diff_id=diff_id) for layer, diff_id in zip(self.layers, diff_ids, strict=True))
                return self._replace(layers=tuple(layers))
        return self


def descriptor_of(manifest: Manifest) -> Descriptor:
    """Return the descriptor of a manifest or index that was fetched."""
    return Descriptor(manifest.digest, len(manifest.raw), manifest.media_type)


def read_index(manifest: Manifest) -> tuple[Descriptor, ...] | None:
    """Return the images of an index, without attestations and artifacts; None if the document is not an index.

    See OCI image spec "Image Index". Raises RegistryError for a document that is not a JSON object.
    """
    entries = _document(manifest).get("manifests")
    if not isinstance(entries, list):
        return None
    parsed = (_descriptor(entry) for entry in entries[:_MAX_ENTRIES] if _is_image(entry))
    return tuple(descriptor for descriptor in parsed if descriptor)


def descriptors_in(manifest: Manifest) -> tuple[Descriptor, ...]:
    """Return everything that a manifest or an index names, attestations included; raises RegistryError."""
    document = _document(manifest)
    found = [document.get("config"), *_entries(document, "manifests"), *_entries(document, "layers")]
    return tuple(filter(None, map(_descriptor, found)))


def attestations_in(index: Manifest, digest: str) -> tuple[Descriptor, ...]:
    """Return the attestations of an image in its index, as BuildKit writes them; raises RegistryError."""
    found = [each for each in _entries(_document(index), "manifests") if _is_attestation(each)]
    about = [each for each in found if _text(each.get("annotations"), _ATTESTED) == digest]
    return tuple(filter(None, map(_descriptor, about)))


def subject_of(manifest: Manifest) -> str:
    """Return the digest of the manifest that another one refers to, such as a signature; empty without one."""
    return _text(_document(manifest).get("subject"), "digest")


def _entries(document: dict[str, Any], key: str) -> list[Any]:
    entries = document.get(key)
    return entries[:_MAX_ENTRIES] if isinstance(entries, list) else []


def _text(document: Any, key: str) -> str:
    return str(document.get(key) or "") if isinstance(document, dict) else ""


def read_image(documents: Iterable[Descriptor], manifest: Manifest) -> ImageManifest:
    """Read an image's manifest (OCI image spec "Image Manifest"); raises RegistryError for anything else."""
    document = _document(manifest)
    config, entries = _descriptor(document.get("config")), document.get("layers")
    layers = [*map(_descriptor, entries)] if isinstance(entries, list) and len(entries) <= _MAX_ENTRIES else [None]
    if config is None or None in layers:
        raise _not_a_manifest(manifest)
    return ImageManifest((*documents, descriptor_of(manifest)), config, tuple(filter(None, layers)))


def platform_in(config: bytes) -> Platform | None:
    """Return the platform in an image's configuration (OCI image spec "Image Configuration"); None without one."""
    document = _object(config) or {}
    return _platform(document) if document.get("os") and document.get("architecture") else None


def _document(manifest: Manifest) -> dict[str, Any]:
    document = _object(manifest.raw)
    if document is None:
        raise _not_a_manifest(manifest)
    return document


def _object(raw: bytes) -> dict[str, Any] | None:
    """Parse a JSON object; None for anything else."""
    with suppress(ValueError, RecursionError):
        if isinstance(document := json.loads(raw), dict):
            return document
    return None


def _not_a_manifest(manifest: Manifest) -> RegistryError:
    words = f"{manifest.digest} is not an image manifest (media type {manifest.media_type or 'missing'})"
    return RegistryError(words, kind=FailureKind.UNSUPPORTED_MANIFEST)


def _descriptor(entry: Any) -> Descriptor | None:
    if not isinstance(entry, dict):
        return None
    digest, size = entry.get("digest"), entry.get("size")
    if not is_digest(digest) or not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_BLOB_SIZE:
        return None
    return Descriptor(digest, size, str(entry.get("mediaType") or ""), _platform(entry.get("platform")))


def _is_attestation(entry: Any) -> bool:
    platform, notes = (entry.get(key) if isinstance(entry, dict) else None for key in ("platform", "annotations"))
    named = isinstance(platform, dict) and platform.get("os") == _ATTESTATION
    return named or (isinstance(notes, dict) and _ATTESTATION_KEY in notes)


def _is_image(entry: Any) -> bool:
    """Tell whether an entry of an index is an image or an index; a missing media type may be either."""
    if not isinstance(entry, dict):
        return False
    of_image = not entry.get("artifactType") or entry["artifactType"] in _CONFIG_TYPES
    return not _is_attestation(entry) and of_image and entry.get("mediaType") in (*INDEX_TYPES, *SINGLE_TYPES, None, "")


def _platform(entry: Any) -> Platform | None:
    if not isinstance(entry, dict):
        return None
    text = "/".join(str(entry[key]) for key in ("os", "architecture", "variant") if entry.get(key))
    try:
        return Platform.parse(text)
    except ValueError:
        return Platform(_ATTESTATION, text)  # matches no platform; None would match every platform
