"""What docker-registry keeps on its disk, written as it does itself: a push takes 1 ms of a processor instead of 40.

The layout is that of the registry's `registry/storage/paths.go`: the bytes once, and a link to them in each repository.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from tests.lab.layers import digest_of

if TYPE_CHECKING:
    from pathlib import Path


class Storage:
    """The folder of a registry, which reads it anew for every request."""

    def __init__(self, folder: Path) -> None:
        """Without that folder nothing is written before the first push."""
        self._root = folder / "docker/registry/v2"

    def blob(self, repository: str, digest: str, data: bytes) -> None:
        """Put a configuration or a layer into a repository."""
        self._keep(digest, data)
        self._link(f"{repository}/_layers/{_path(digest)}", digest)

    def manifest(self, repository: str, tag: str, data: bytes) -> str:
        """Put a manifest into a repository and let the tag, if there is one, stand for it; return its digest."""
        digest = digest_of(data)
        self._keep(digest, data)
        self._link(f"{repository}/_manifests/revisions/{_path(digest)}", digest)
        if tag:
            self._link(f"{repository}/_manifests/tags/{tag}/index/{_path(digest)}", digest)
            self._link(f"{repository}/_manifests/tags/{tag}/current", digest)
        return digest

    def _keep(self, digest: str, data: bytes) -> None:
        algorithm, _, name = digest.partition(":")
        place = self._root / f"blobs/{algorithm}/{name[:2]}/{name}/data"
        if not place.exists():
            _write(place, data)

    def _link(self, path: str, digest: str) -> None:
        _write(self._root / "repositories" / path / "link", digest.encode())


def _path(digest: str) -> str:
    return digest.replace(":", "/")


def _write(place: Path, data: bytes) -> None:
    """Write at once: the registry may read, and another thread write the same."""
    place.parent.mkdir(parents=True, exist_ok=True)
    number, own = tempfile.mkstemp(dir=place.parent)
    with os.fdopen(number, "wb") as file:
        file.write(data)
    os.replace(own, place)  # noqa: PTH105 - of two names
