"""Manifests and indexes: of wrong types, of absurd sizes, without end."""

import gzip
import json
import re
from collections.abc import Callable
from functools import cache

from tests.lab.hostile.image import (
    MEGABYTE,
    NEVER_MADE,
    OK,
    Document,
    Shape,
    add,
    begin_chunks,
    image_of,
    index_entry,
    index_of,
    manifest_with,
    raw,
    shaped,
)
from tests.lab.images import DOCKER, OCI
from tests.lab.raw_http import FLOOD_CHUNK, Exchange, head
from tests.lab.unsafe_text import ESCAPES, LINE_ESCAPES, SECRETS


@cache
def _bomb(megabytes: int) -> bytes:
    return gzip.compress(b" " * MEGABYTE) * megabytes  # members of a gzip file may be joined


_BOMB = manifest_with({"Content-Encoding": "gzip"}, Shape(lambda _: _bomb(300)))
_BOMB_FOR_ENGINES = manifest_with({"Content-Encoding": "gzip"}, Shape(lambda _: _bomb(10)))


async def _explodes(exchange: Exchange) -> None:
    await (_BOMB_FOR_ENGINES if exchange.of_engine else _BOMB)(exchange)


async def _drips(exchange: Exchange) -> None:
    image = image_of(exchange)
    await exchange.send(head(200, image.headers | {"Content-Length": str(len(image.manifest))}))
    await exchange.drip(image.manifest)


add("manifest_drips", "sends the manifest at one byte a second", _drips, kind="manifest", methods=("GET",))


async def _endless(exchange: Exchange) -> None:
    await begin_chunks(exchange)
    await exchange.again(exchange.chunk, b" " * FLOOD_CHUNK)


add("manifest_endless", "sends a manifest without end", _endless, kind="manifest", methods=("GET",))
add(
    "manifest_length_2_to_the_50",
    "says that the manifest has 2^50 bytes",
    raw(OK + f"Content-Length: {1 << 50}\r\n\r\n".encode()),
    kind="manifest",
)
add(
    "manifest_bomb",
    "sends a manifest that is compressed a thousandfold",
    _explodes,
    kind="manifest",
)
add(
    "manifest_type_huge",
    "sends a media type of 1 MB",
    manifest_with({"Content-Type": "application/" + "x" * MEGABYTE}),
    kind="manifest",
    harmless=True,
)
add(
    "manifest_type_escapes",
    "sends a media type with terminal sequences",
    manifest_with({"Content-Type": f"application/{LINE_ESCAPES}"}),
    kind="manifest",
    harmless=True,
)
add(
    "digest_wrong",
    "sends a digest that is not the manifest's",
    manifest_with({"Docker-Content-Digest": NEVER_MADE}),
    kind="manifest",
    harmless=True,
)
add(
    "digest_escapes",
    "sends a digest with terminal sequences",
    manifest_with({"Docker-Content-Digest": f"sha256:{LINE_ESCAPES}"}),
    kind="manifest",
    harmless=True,
)
add(
    "digest_md5",
    "sends a digest of a weak algorithm",
    manifest_with({"Docker-Content-Digest": "md5:" + "0" * 32}),
    kind="manifest",
    harmless=True,
)
add(
    "digest_huge",
    "sends a digest of 1 MB",
    manifest_with({"Docker-Content-Digest": "sha256:" + "0" * MEGABYTE}),
    kind="manifest",
    harmless=True,
)
add(
    "digest_path",
    "sends a digest that is a path",
    manifest_with({"Docker-Content-Digest": "sha256:../../../etc/passwd"}),
    kind="manifest",
    harmless=True,
)


def _spoilt(name: str, words: str, change: Callable[[Document], object], *, harmless: bool = False) -> None:
    """Add a registry whose manifest is spoilt; the digest is right."""
    shaped(name, words, Shape(change), harmless=harmless)


def _layer_size(size: str) -> Callable[[Document], bytes]:
    def change(manifest: Document) -> bytes:
        return re.sub(r'(.*)"size": \d+', rf'\1"size": {size}', json.dumps(manifest)).encode()

    return change


def _layers(count: int, entry: object = None) -> Callable[[Document], object]:
    def change(manifest: Document) -> object:
        own = manifest["layers"]
        assert isinstance(own, list)
        return manifest | {"layers": (own if entry is None else [entry]) * count}

    return change


_spoilt("manifest_nested", "sends a manifest that is nested too deeply", lambda _: b"[" * 200_000)
_spoilt(
    "manifest_nested_inside",
    "the same inside a field",
    lambda m: json.dumps(m)[:-1].encode() + b',"annotations":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    harmless=True,
)
_spoilt("manifest_list", "sends a list as manifest", lambda _: [1, 2, 3])
_spoilt("manifest_number", "sends a number of ten thousand digits as manifest", lambda _: b"9" * 10_000)
_spoilt("manifest_not_utf8", "sends a manifest that is no UTF-8", lambda _: b'{"schemaVersion": 2, "x": "\xff\xfe"}')
_spoilt("manifest_config_list", "names a list as configuration", lambda m: m | {"config": [1]})
_spoilt("manifest_layers_map", "names a map as layers", lambda m: m | {"layers": {"a": 1}})
_spoilt(
    "manifest_layer_types",
    "names layers of wrong types",
    lambda m: m | {"layers": [{"digest": 5, "size": [], "mediaType": {}}]},
)
_spoilt(
    "manifest_layer_path",
    "names a path as a layer's digest",
    lambda m: m | {"layers": [{"digest": "sha256:../../../../etc/cron.d/x", "size": 5, "mediaType": DOCKER.layer}]},
)
_spoilt(
    "manifest_layer_escapes",
    "names layers with terminal sequences",
    lambda m: m | {"layers": [{"digest": f"sha256:{ESCAPES}", "size": 5, "mediaType": ESCAPES}]},
)
_spoilt(
    "manifest_schema_1", "sends a manifest of schema 1", lambda _: {"schemaVersion": 1, "fsLayers": [], "history": []}
)
_spoilt("layer_of_2_to_the_50", "says that a layer has 2^50 bytes", _layer_size(str(1 << 50)), harmless=True)
_spoilt("layer_of_2_to_the_49", "says that a layer has 2^49 bytes", _layer_size(str(1 << 49)), harmless=True)
_spoilt("layer_of_2_to_the_62", "says that a layer has 2^62 bytes", _layer_size(str(1 << 62)), harmless=True)
_spoilt("size_negative", "says that a layer has negative bytes", _layer_size("-1"), harmless=True)
_spoilt("size_text", "says the size of a layer as text", _layer_size('"30000"'), harmless=True)
_spoilt("size_fraction", "says that a layer has half a byte", _layer_size("0.5"), harmless=True)
_spoilt("size_1e400", "says that a layer has 1e400 bytes", _layer_size("1e400"), harmless=True)
_spoilt("size_of_5000_digits", "says that a layer has a number of bytes with 5000 digits", _layer_size("9" * 5000))
_spoilt("million_layers", "names a million layers that are none", _layers(1_000_000, 0))
_spoilt("many_layers", "names the same layer 400 times", _layers(400), harmless=True)


shaped("index_nested", "nests fifty indexes", Shape(media_type=OCI.index, depth=50))
shaped(
    "index_of_no_form",
    "sends an index with entries of wrong types",
    Shape(index_of([1, None, {"digest": 5}, {"platform": [{}]}]), media_type=OCI.index),
)
shaped(
    "index_escapes",
    "names platforms with terminal sequences",
    Shape(
        index_of([{**index_entry(NEVER_MADE, OCI.manifest), "platform": {"os": ESCAPES, "architecture": SECRETS}}]),
        media_type=OCI.index,
    ),
)
shaped(
    "million_entries",
    "sends an index of a million entries that are none",
    Shape(index_of([0] * 1_000_000), media_type=OCI.index),
)
shaped(
    "index_of_nothing",
    "sends an index whose entries are not there",
    Shape(index_of([index_entry(NEVER_MADE, OCI.manifest)]), media_type=OCI.index),
    harmless=True,
)
