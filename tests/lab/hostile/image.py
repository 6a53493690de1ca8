"""A registry that is well, with an image that can be of any shape, and places where a behaviour may step in."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from tests.lab.images import DOCKER, HOST_PLATFORM, OCI
from tests.lab.layers import digest_of, layer
from tests.lab.raw_http import Act, Exchange, Table, head

LAYER_BYTES = 30_000
MEGABYTE = 1 << 20
TOKEN = "opaque-token"
_OS, _, _ARCHITECTURE = HOST_PLATFORM.partition("/")
NEVER_MADE = f"sha256:{'d' * 64}"


Document = dict[str, object]
"""A JSON document before it is encoded."""


def _unchanged(document: Document) -> object:
    return document


@dataclass(frozen=True)
class Shape:
    """What is odd about an image; digests are those of what is served."""

    manifest: Callable[[Document], object] = _unchanged
    config: Callable[[Document], object] = _unchanged
    media_type: str = DOCKER.manifest
    depth: int = 0
    """How many indexes the image is in, one in the other."""


class Image:
    """An image of one layer, both of which no other repository has: an engine would not ask for them twice."""

    def __init__(self, repository: str, shape: Shape) -> None:
        content = layer(repository, LAYER_BYTES)
        self.media_type = shape.media_type
        self.layer = content.data
        config: Document = {
            "os": _OS,
            "architecture": _ARCHITECTURE,
            "config": {"Cmd": ["/none"]},
            "rootfs": {"type": "layers", "diff_ids": [content.diff_id]},
            "history": [{"created_by": repository}],
        }
        self.config = encoded(shape.config(config))
        self.config_digest = digest_of(self.config)
        manifest: Document = {
            "schemaVersion": 2,
            "mediaType": shape.media_type,
            "config": {"mediaType": DOCKER.config, "size": len(self.config), "digest": self.config_digest},
            "layers": [{"mediaType": DOCKER.layer, "size": len(self.layer), "digest": content.digest}],
        }
        self.manifest = encoded(shape.manifest(manifest))
        self.manifests = {digest_of(self.manifest): self.manifest}
        for _ in range(shape.depth):
            self.manifest = encoded(index_of([index_entry(digest_of(self.manifest))])({}))
            self.manifests[digest_of(self.manifest)] = self.manifest
        self.digest = digest_of(self.manifest)
        self.blobs = {content.digest: self.layer, self.config_digest: self.config}

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the manifest."""
        return {"Content-Type": self.media_type, "Docker-Content-Digest": self.digest}


PLAIN = Shape()


@cache
def _image(repository: str, shape: Shape) -> Image:
    return Image(repository, shape)


def image_of(exchange: Exchange, shape: Shape = PLAIN) -> Image:
    """Return the image that is asked for."""
    repository = re.match(r"/v2/(.+)/(?:manifests|blobs)/", exchange.target)
    return _image(repository[1] if repository else "", shape)


def encoded(document: object) -> bytes:
    """Encode as JSON; bytes are taken as they are."""
    return document if isinstance(document, bytes) else json.dumps(document).encode()


TABLE = Table()
OK = b"HTTP/1.1 200 OK\r\n{fields}"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


async def healthy(exchange: Exchange, shape: Shape = PLAIN) -> None:
    """Answer as a registry does that is well."""
    kind, image = kind_of(exchange), image_of(exchange, shape)
    if kind == "ping":
        await exchange.json({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})
    elif kind == "manifest":
        name = exchange.target.rpartition("/")[2]
        body = image.manifests.get(name, image.manifest)
        await exchange.reply(200, image.headers | {"Docker-Content-Digest": digest_of(body)}, body)
    elif kind == "token":
        await exchange.json({"token": TOKEN, "expires_in": 300})
    else:
        await _healthy_blob(exchange, image)


async def _healthy_blob(exchange: Exchange, image: Image) -> None:
    digest = exchange.target.rpartition("/")[2]
    body = image.blobs.get(digest)
    if body is None:
        await exchange.json({"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown"}]}, 404)
        return
    wanted = exchange.headers.get("range", "").removeprefix("bytes=")
    if not wanted:
        await exchange.reply(200, {"Content-Type": "application/octet-stream"}, body)
        return
    first, _, last = wanted.partition("-")
    begin, end = int(first), min(int(last) if last else len(body) - 1, len(body) - 1)
    fields = {"Content-Range": f"bytes {begin}-{end}/{len(body)}"}
    await exchange.reply("206 Partial Content", fields, body[begin : end + 1])


def kind_of(exchange: Exchange) -> str:
    """Say what is asked for: ping, manifest, blob or token."""
    path = urlsplit(exchange.target).path
    if "/manifests/" in path:
        return "manifest"
    if "/blobs/" in path:
        return "blob"
    return "token" if path.startswith("/token") else "ping"


def _only(kind: str, act: Act, methods: tuple[str, ...]) -> Act:
    """Misbehave for one kind of request, and be well otherwise."""

    async def chosen(exchange: Exchange) -> None:
        if kind_of(exchange) == kind and exchange.method in methods:
            await act(exchange)
        else:
            await healthy(exchange)

    return chosen


def add(
    name: str,
    words: str,
    act: Act,
    *,
    kind: str = "",
    harmless: bool = False,
    unknown: bool = False,
    methods: tuple[str, ...] = ("GET", "HEAD"),
) -> None:
    """Add a behaviour that is made of data; without a kind it applies to every request."""
    chosen = _only(kind, act, methods) if kind else act

    async def named(exchange: Exchange) -> None:
        await chosen(exchange)

    named.__name__ = name
    TABLE.add(words, harmless=harmless, unknown=unknown)(named)


def raw(data: bytes, *, manifest: bool = False) -> Act:
    """Send bytes, with `manifest` in the head of the manifest's response and before the manifest, and close."""

    async def act(exchange: Exchange) -> None:
        image = image_of(exchange)
        fields = "".join(f"{name}: {value}\r\n" for name, value in image.headers.items()).encode()
        length = f"Content-Length: {len(image.manifest)}\r\n".encode()
        own = data.replace(b"{fields}", fields).replace(b"{length}", length)
        await exchange.send(own + (image.manifest if manifest else b""))
        exchange.close()

    return act


def saying(status: int | str, fields: dict[str, str], body: bytes = b"{}") -> Act:
    """Send one response, whatever is asked."""

    async def act(exchange: Exchange) -> None:
        await exchange.reply(status, fields, body)

    return act


def manifest_with(fields: dict[str, str], shape: Shape = PLAIN) -> Act:
    """Send the manifest with other headers."""

    async def act(exchange: Exchange) -> None:
        image = image_of(exchange, shape)
        await exchange.reply(200, image.headers | fields, image.manifest)

    return act


def index_of(entries: object) -> Callable[[Document], object]:
    """Change a manifest into an index of these entries."""
    return lambda _: {"schemaVersion": 2, "mediaType": OCI.index, "manifests": entries}


def index_entry(digest: str, media_type: str = OCI.index) -> dict[str, object]:
    """Name a manifest for the platform of this machine."""
    platform = {"os": _OS, "architecture": _ARCHITECTURE}
    return {"mediaType": media_type, "size": 500, "digest": digest, "platform": platform}


def shaped(name: str, words: str, shape: Shape, *, harmless: bool = False) -> None:
    """Add a registry that is well but for the shape of its images."""

    async def act(exchange: Exchange) -> None:
        await healthy(exchange, shape)

    add(name, words, act, harmless=harmless)


async def begin_chunks(exchange: Exchange) -> None:
    """Send the head of a response of unknown length."""
    fields = image_of(exchange).headers if kind_of(exchange) == "manifest" else {}
    await exchange.send(head(200, fields | {"Transfer-Encoding": "chunked"}))


async def hang(exchange: Exchange) -> None:
    """Never answer."""
    await exchange.hang()
