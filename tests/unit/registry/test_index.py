"""What an index offers."""

import pytest

from puller.image.manifest import INDEX_TYPES, read_index
from puller.image.reference import Platform
from puller.registry.client import RegistryClient
from tests.lab import DOCKER, OCI, Registry, layer, push_index
from tests.unit.registry.conftest import named

ARM = Platform("linux", "arm", "v6")


@pytest.mark.parametrize("kind", [OCI, DOCKER])
def test_a_real_index(registry: Registry, client: RegistryClient, kind: object) -> None:
    """Of either family, through the client."""
    pushed = push_index(
        registry, "index/app", "v1", {"linux/amd64": [layer("a")], "linux/arm/v6": [layer("b")]}, kind=kind,  # type: ignore[arg-type]
    )  # fmt: skip
    described = client.head(named(pushed))
    assert described.media_type in INDEX_TYPES
    manifest = client.manifest(named(pushed), described.digest)
    assert [each.platform for each in read_index(manifest) or ()] == [Platform.parse("linux/amd64"), ARM]
    entry = client.manifest(named(pushed), pushed.images["linux/amd64"].digest)
    assert entry.media_type not in INDEX_TYPES
    assert read_index(entry) is None
