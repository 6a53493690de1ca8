"""Manifests and indexes as others write them, and which entry of an index is for a machine."""

import json
from typing import Any

import pytest

from puller.errors import RegistryError
from puller.image.manifest import Descriptor, Manifest, read_image, read_index
from puller.image.platform import best_entry
from puller.image.reference import Platform

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def manifest(document: Any) -> Manifest:
    """Make a manifest of a document, or of bytes."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Manifest(raw, "application/x", DIGEST)


def entry(platform: str | None, digest: str = DIGEST) -> Descriptor:
    """Make an entry of an index."""
    return Descriptor(digest, 1, platform=Platform.parse(platform) if platform else None)


@pytest.mark.parametrize(
    ("machine", "there", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/amd64/v2", "linux/386"], "linux/386"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2"], "linux/amd64/v2"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v4"], "linux/amd64"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm/v7", ["linux/arm/v8", "linux/arm64"], None),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], "linux/arm64"),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/s390x", ["linux/amd64"], None),
        ("linux/amd64", ["windows/amd64"], None),
        ("linux/amd64", [], None),
    ],
)
def test_the_entry_that_an_engine_would_take(machine: str, there: list[str], chosen: str | None) -> None:
    """The machine's own before what it can run as well, newer before older, never what it cannot run."""
    found = best_entry([entry(each) for each in there], Platform.parse(machine))
    assert found == (entry(chosen) if chosen else None)


def test_an_entry_without_a_platform_is_for_any_but_comes_last() -> None:
    """As a registry's old tools write it."""
    anybodys = entry(None, OTHER)
    assert best_entry([anybodys, entry("linux/amd64")], Platform("linux", "amd64")) == entry("linux/amd64")
    assert best_entry([anybodys, entry("linux/amd64")], Platform("linux", "s390x")) == anybodys


def test_an_index_is_read_without_what_is_no_image() -> None:
    """Attestations are left out, nonsense too, and a platform that cannot be read is nobody's."""
    described = {"digest": DIGEST, "size": 1}
    entries = [
        described | {"platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
        described | {"platform": {"os": "unknown", "architecture": "unknown"}},
        described | {"platform": {"os": "li nux", "architecture": 7}},
        {"digest": "sha256:short", "size": 1},
        {"digest": DIGEST, "size": -1},
        "text",
        None,
    ]
    parts = read_index(manifest({"manifests": entries}))
    assert parts
    assert str(parts[0].platform) == "linux/arm/v7"
    assert len(parts) == 2
    assert best_entry(parts, Platform("linux", "amd64")) is None
    assert read_index(manifest({"config": {}, "layers": []})) is None


def test_an_image_is_read_and_learns_from_its_config() -> None:
    """Layers in order, and their diff IDs where the config tells as many."""
    layers = [
        {"digest": DIGEST, "size": 3, "mediaType": "x.tar+gzip"},
        {"digest": OTHER, "size": 4, "mediaType": "x.tar"},
    ]
    written = manifest({"config": {"digest": OTHER, "size": 2}, "layers": layers})
    parts = read_image((), written)
    assert [(layer.size, layer.compressed) for layer in parts.layers] == [(3, True), (4, False)]
    assert parts.documents == (Descriptor(DIGEST, len(written.raw), "application/x"),)
    told = parts.with_config(json.dumps({"rootfs": {"diff_ids": [OTHER, DIGEST]}}).encode())
    assert [layer.diff_id for layer in told.layers] == [OTHER, DIGEST]
    for useless in (
        b"",
        b"[]",
        b'{"rootfs": {"diff_ids": ["sha256:1"]}}',
        b'{"rootfs": {"diff_ids": 2}}',
        b"[" * 99999,
    ):
        assert parts.with_config(useless) == parts


@pytest.mark.parametrize(
    "document",
    [
        b"no json",
        b"[" * 99999,
        [],
        {},
        {"schemaVersion": 1, "fsLayers": []},
        {"config": {"digest": DIGEST, "size": 1}, "layers": {}},
        {"config": {"digest": DIGEST, "size": 1}, "layers": [{"digest": DIGEST}]},
        {"config": {"digest": DIGEST, "size": True}, "layers": []},
        {"config": {"digest": DIGEST, "size": 1 << 60}, "layers": []},
    ],
)
def test_what_is_no_manifest_is_trouble(document: Any) -> None:
    """And never anything else."""
    with pytest.raises(RegistryError, match="is not an image manifest"):
        read_image((), manifest(document))
