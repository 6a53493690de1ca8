"""What an index offers."""

import json

import pytest

from puller.errors import RegistryError
from puller.image.manifest import Manifest
from puller.image.reference import Platform
from puller.registry.client import RegistryClient
from puller.registry.index import is_index, platforms_in
from tests.registry.conftest import named
from tests.world import DOCKER, OCI, Registry, layer, push_index


def index(document: object) -> Manifest:
    """Make an index."""
    return Manifest(json.dumps(document).encode(), OCI.index, "sha256:" + "a" * 64)


@pytest.mark.parametrize("kind", [OCI, DOCKER])
def test_a_real_index(registry: Registry, client: RegistryClient, kind: object) -> None:
    """Of either family, through the client."""
    pushed = push_index(
        registry, "index/app", "v1", {"linux/amd64": [layer("a")], "linux/arm/v6": [layer("b")]}, kind=kind,  # type: ignore[arg-type]
    )  # fmt: skip
    described = client.head(named(pushed))
    assert is_index(described.media_type)
    manifest = client.manifest(named(pushed), described.digest)
    assert platforms_in(manifest) == (Platform("linux", "amd64"), Platform("linux", "arm", "v6"))
    entry = client.manifest(named(pushed), pushed.images["linux/amd64"].digest)
    assert not is_index(entry.media_type)
    with pytest.raises(RegistryError, match="cannot be read"):
        platforms_in(entry)


def test_attestations_are_no_images() -> None:
    """BuildKit puts them into the index as images for `unknown/unknown`; other entries may say nothing at all."""
    attestation = {"platform": {"os": "unknown", "architecture": "unknown"}}
    image = {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}
    assert platforms_in(index({"manifests": [image, attestation, {}, {"platform": None}]})) == (
        Platform("linux", "arm64"),
    )


@pytest.mark.parametrize("document", [[], 1, {}, {"manifests": 1}, {"manifests": [1]}, {"manifests": None}])
def test_nonsense_is_trouble(document: object) -> None:
    """And no crash."""
    with pytest.raises(RegistryError, match="cannot be read"):
        platforms_in(index(document))
