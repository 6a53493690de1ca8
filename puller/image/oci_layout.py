"""Images in files: the index of an OCI image layout, and what an archive for `docker load` says beside it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from puller.image.digest import is_digest
from puller.image.manifest import ImageManifest
from puller.image.reference import ImageReference

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_TAG = "org.opencontainers.image.ref.name"
"""OCI image spec "Pre-Defined Annotation Keys"."""
_NAME = "io.containerd.image.name"
"""The whole name, as `docker save` and containerd write and read it."""


@dataclass(frozen=True, slots=True)
class Named:
    """One image of a layout: a document, and the name that stands for it."""

    digest: str
    size: int
    media_type: str
    name: ImageReference | None
    """None where the layout gives it none, or none that could be pulled."""

    @property
    def entry(self) -> dict[str, Any]:
        """Describe it (OCI image spec "Content Descriptors")."""
        described: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.name:
            tag = {_TAG: self.name.tag} if self.name.tag else {}
            described["annotations"] = {_NAME: self.name.canonical, **tag}
        return described


def read_index(raw: bytes | str) -> tuple[Named, ...]:
    """Read an `index.json`; raises ValueError. What it has without a digest is left out."""
    document = json.loads(raw)
    entries = document.get("manifests") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("its index.json is no image index")  # noqa: TRY004 - what others wrote is wrong, not a type
    return tuple(_named(entry) for entry in entries if isinstance(entry, dict) and is_digest(entry.get("digest")))


def index_text(images: Iterable[Named]) -> str:
    """Write an `index.json`."""
    entries = [image.entry for image in images]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}, indent=1) + "\n"


def docker_entry(name: ImageReference, parts: ImageManifest) -> dict[str, Any]:
    """Describe an image as `docker load` of an engine without the containerd store wants it (`manifest.json`)."""
    return {
        "Config": blob_path(parts.config.digest),
        "RepoTags": [f"{name.name}:{name.tag}"] if name.tag else [],
        "Layers": [blob_path(layer.digest) for layer in parts.layers],
    }


def blob_path(digest: str) -> str:
    """Where a blob lies in a layout (OCI image layout "Blobs")."""
    return f"blobs/{digest.replace(':', '/')}"


def _named(entry: dict[str, Any]) -> Named:
    annotations = entry.get("annotations")
    text = annotations.get(_NAME) if isinstance(annotations, dict) else None
    try:
        name = ImageReference.parse(str(text)) if text else None
    except ValueError:
        name = None
    size = entry.get("size")
    return Named(str(entry["digest"]), size if isinstance(size, int) else 0, str(entry.get("mediaType") or ""), name)
