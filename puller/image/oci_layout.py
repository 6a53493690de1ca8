"""The `index.json` of an OCI image layout, and the `manifest.json` that `docker load` reads."""

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from puller.image.digest import is_digest
from puller.image.manifest import INDEX_TYPES, ImageManifest
from puller.image.reference import ImageReference

_TAG = "org.opencontainers.image.ref.name"
"""OCI image spec "Pre-Defined Annotation Keys"."""
_NAME = "io.containerd.image.name"
"""The full name, as `docker save` and containerd write and read it."""
_COSIGN = re.compile(r"sha(?:256|512)-[0-9a-f]+\.(?:sig|att|sbom)")


def cosign_tags(digest: str) -> tuple[str, ...]:
    """Return the tags of the signatures, attestations and SBOM that cosign puts beside a manifest."""
    return tuple(f"{digest.replace(':', '-')}.{kind}" for kind in ("sig", "att", "sbom"))


class LayoutImage(NamedTuple):
    """One image of a layout: its manifest or index, and its name."""

    digest: str
    size: int
    media_type: str
    name: ImageReference | None
    """None if the layout has no name for it, or one that is no image reference."""

    @property
    def signs(self) -> bool:
        """Whether it has a tag of cosign's: it is no image, and belongs to one of the same repository."""
        return self.name is not None and _COSIGN.fullmatch(self.name.tag or "") is not None


def read_index(raw: bytes | str) -> tuple[LayoutImage, ...]:
    """Read an `index.json`, without entries that have no digest; raises ValueError for anything else."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    entries = document.get("manifests") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("its index.json is not an image index")  # noqa: TRY004 - the file is wrong, not a type
    return tuple(_image(entry) for entry in entries if isinstance(entry, dict) and is_digest(entry.get("digest")))


def index_text(images: Iterable[LayoutImage]) -> str:
    """Return the text of an `index.json`."""
    entries: list[dict[str, Any]] = []
    for image in images:
        entries.append({"mediaType": image.media_type, "digest": image.digest, "size": image.size})
        if image.name:
            tag = {_TAG: image.name.tag} if image.name.tag else {}
            entries[-1]["annotations"] = {_NAME: image.name.canonical, **tag}
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": entries}, indent=1) + "\n"


def docker_entry(name: ImageReference, parts: ImageManifest) -> dict[str, Any]:
    """Return the image's entry of `manifest.json`, which `docker load` of a graph-driver engine reads."""
    return {
        "Config": blob_path(parts.config.digest),
        "RepoTags": [f"{name.name}:{name.tag}"] if name.tag else [],
        "Layers": [blob_path(layer.digest) for layer in parts.layers],
    }


def blob_path(digest: str) -> str:
    """Return the path of a blob inside a layout (OCI image layout "Blobs")."""
    return f"blobs/{digest.replace(':', '/')}"


def _image(entry: dict[str, Any]) -> LayoutImage:
    annotations = entry.get("annotations")
    text = annotations.get(_NAME) if isinstance(annotations, dict) else None
    name = ImageReference.read(str(text)) if text else None
    size = entry.get("size")
    media_type = str(entry.get("mediaType") or "")
    return LayoutImage(entry["digest"], size if isinstance(size, int) else 0, media_type, name)
