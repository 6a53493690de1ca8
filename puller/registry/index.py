"""What an index offers: the platforms of its images."""

import json
from collections.abc import Iterator

from puller.errors import RegistryError
from puller.image.manifest import Manifest
from puller.image.reference import Platform

_TYPES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}


def is_index(media_type: str) -> bool:
    """Tell an index (OCI image spec "Image Index", Docker's manifest list) from the manifest of one image."""
    return media_type in _TYPES


def platforms_in(index: Manifest) -> tuple[Platform, ...]:
    """List the platforms of an index's images, without what is no image, such as attestations.

    Raises RegistryError for what is no index.
    """
    try:
        return tuple(_platforms(json.loads(index.raw)))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise RegistryError(f"the index {index.digest} cannot be read") from None


def _platforms(document: dict[str, list[dict[str, dict[str, str]]]]) -> Iterator[Platform]:
    for entry in document["manifests"]:
        platform = entry.get("platform") or {}
        parts = [platform.get(key) for key in ("os", "architecture", "variant")]
        if all(parts[:2]) and parts[:2] != ["unknown", "unknown"]:
            yield Platform.parse("/".join(part for part in parts if part))
