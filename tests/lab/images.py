"""Small images made of reproducible random bytes, put into a registry."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.layers import Layer, digest_of, layer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.lab.registry import Registry

_ATTESTATION = "unknown/unknown"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm/v7"}
HOST_PLATFORM = f"linux/{ARCHITECTURES.get(platform.machine(), platform.machine())}"


@dataclass(frozen=True)
class Kind:
    """The media types of one family of manifests."""

    manifest: str
    config: str
    layer: str
    index: str


DOCKER = Kind(
    manifest="application/vnd.docker.distribution.manifest.v2+json",
    config="application/vnd.docker.container.image.v1+json",
    layer="application/vnd.docker.image.rootfs.diff.tar.gzip",
    index="application/vnd.docker.distribution.manifest.list.v2+json",
)
OCI = Kind(
    manifest="application/vnd.oci.image.manifest.v1+json",
    config="application/vnd.oci.image.config.v1+json",
    layer="application/vnd.oci.image.layer.v1.tar+gzip",
    index="application/vnd.oci.image.index.v1+json",
)


@dataclass(frozen=True)
class Pushed:
    """What lies in a registry under a name: a tag (empty when there is none), the manifest's digest and bytes."""

    address: str
    repository: str
    tag: str
    digest: str
    size: int

    @property
    def reference(self) -> str:
        """How an engine is asked for it."""
        return self.at(self.address)

    def at(self, address: str) -> str:
        """Return the reference through another address of the same registry, such as a proxy's."""
        return f"{address}/{self.repository}" + (f":{self.tag}" if self.tag else f"@{self.digest}")


@dataclass(frozen=True)
class PushedImage(Pushed):
    """An image for one platform."""

    config_digest: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class PushedIndex(Pushed):
    """An image for several platforms, each with its own image."""

    images: Mapping[str, PushedImage]


def push_image(
    registry: Registry,
    repository: str,
    tag: str = "v1",
    layers: Sequence[Layer] = (),
    *,
    platform: str = HOST_PLATFORM,
    kind: Kind = DOCKER,
    subject: Pushed | None = None,
) -> PushedImage:
    """Push an image and return what it became; without layers it gets a small one of its own.

    An empty tag pushes by digest only; a `subject` is what it refers to.
    """
    layers = tuple(layers) or (layer(f"{repository}:{tag}"),)
    config = json.dumps(
        {
            **_platform_fields(platform),
            "config": {"Cmd": ["/none"]},
            "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
            "history": [{"created_by": "tests.lab"} for _ in layers],
        },
    ).encode()
    config_digest = digest_of(config)
    for digest, data in [(each.digest, each.data) for each in layers] + [(config_digest, config)]:
        registry.storage.blob(repository, digest, data)
    manifest: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": kind.manifest,
        "config": {"mediaType": kind.config, "size": len(config), "digest": config_digest},
        "layers": [{"mediaType": kind.layer, "size": len(each.data), "digest": each.digest} for each in layers],
    }
    if subject is not None:
        manifest["subject"] = {"mediaType": OCI.index, "size": subject.size, "digest": subject.digest}
    digest, size = _push_manifest(registry, repository, tag, manifest)
    return PushedImage(registry.address, repository, tag, digest, size, config_digest, layers)


def push_index(
    registry: Registry,
    repository: str,
    tag: str,
    platforms: Mapping[str, Sequence[Layer]],
    *,
    kind: Kind = OCI,
    attested: bool = False,
) -> PushedIndex:
    """Push one image for each platform (such as "linux/arm64") and an index over them under the tag.

    With `attested` the index has an attestation of each image, as BuildKit writes it; they are among the images as
    `attestation of PLATFORM`.
    """
    images = {
        name: push_image(registry, repository, "", layers, platform=name, kind=kind)
        for name, layers in platforms.items()
    }
    entries: list[dict[str, object]] = [
        {"mediaType": kind.manifest, "size": image.size, "digest": image.digest, "platform": _platform_fields(name)}
        for name, image in images.items()
    ]
    for name, image in list(images.items()) if attested else ():
        statement = layer(f"attestation of {image.digest}")
        about = push_image(registry, repository, "", [statement], platform=_ATTESTATION, kind=kind)
        images[f"attestation of {name}"] = about
        refers = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest}
        entries.append(
            {
                "mediaType": kind.manifest,
                "size": about.size,
                "digest": about.digest,
                "platform": _platform_fields(_ATTESTATION),
                "annotations": refers,
            }
        )
    digest, size = _push_manifest(
        registry, repository, tag, {"schemaVersion": 2, "mediaType": kind.index, "manifests": entries}
    )
    return PushedIndex(registry.address, repository, tag, digest, size, images)


def push_attested(registry: Registry, repository: str, layers: Sequence[Layer] = (), *, tag: str = "v1") -> PushedIndex:
    """Push an image as buildx does by default: an index of the image and of an attestation that refers to it."""
    image = push_image(registry, repository, "", layers, kind=OCI)
    statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"name": repository}]}).encode()
    config = json.dumps({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}})
    parts = []
    for kind, data in ((OCI.config, config.encode()), ("application/vnd.in-toto+json", statement)):
        registry.storage.blob(repository, digest_of(data), data)
        parts.append({"mediaType": kind, "size": len(data), "digest": digest_of(data)})
    manifest = {"schemaVersion": 2, "mediaType": OCI.manifest, "config": parts[0], "layers": parts[1:]}
    digest, size = _push_manifest(registry, repository, "", manifest)
    notes = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest}
    unknown = {"os": "unknown", "architecture": "unknown"}
    own = {"mediaType": OCI.manifest, "size": image.size, "digest": image.digest}
    entries = [
        own | {"platform": _platform_fields(HOST_PLATFORM)},
        {"mediaType": OCI.manifest, "size": size, "digest": digest, "platform": unknown, "annotations": notes},
    ]
    index = {"schemaVersion": 2, "mediaType": OCI.index, "manifests": entries}
    digest, size = _push_manifest(registry, repository, tag, index)
    return PushedIndex(registry.address, repository, tag, digest, size, {HOST_PLATFORM: image})


def family(
    registry: Registry,
    count: int,
    *,
    prefix: str = "lab/app",
    bases: int = 2,
    base_layers: int = 2,
    base_size: int = 64 << 10,
    own_size: int = 4 << 10,
) -> tuple[PushedImage, ...]:
    """Push `count` images named prefix0, prefix1 ..., each one layer (own_size bytes) on one of a few shared bases.

    A base has base_layers layers of base_size bytes, shared by every image on it.
    """
    stacks = [[layer(f"base{base}-{step}", base_size) for step in range(base_layers)] for base in range(bases)]
    return tuple(
        push_image(
            registry, f"{prefix}{number}", layers=[*stacks[number % bases], layer(f"{prefix}{number}", own_size)]
        )
        for number in range(count)
    )


def _platform_fields(name: str) -> dict[str, str]:
    system, architecture, *variant = name.split("/")
    return {"os": system, "architecture": architecture} | ({"variant": variant[0]} if variant else {})


def _push_manifest(registry: Registry, repository: str, tag: str, manifest: Mapping[str, object]) -> tuple[str, int]:
    data = json.dumps(manifest).encode()
    return registry.storage.manifest(repository, tag, data), len(data)
