"""The JSON of engines as values: the API and the commands print the same documents."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from puller.engine.interface import InspectedImage
from puller.engine.model import EngineInfo, ImageContents, LocalImage, LocalImages, ProxySettings, full_name
from puller.image.reference import ImageReference, Platform

_NONE = "<none>"
_MACHINES = {"armv7l": "arm/v7", "armv6l": "arm/v6", "i686": "386", "loongarch64": "loong64"}
"""Architectures of `uname -m`, which engines report; `Platform.parse` knows the other aliases."""


def read_images(images: Iterable[Mapping[str, Any]]) -> LocalImages:
    """Read `GET /images/json` (Engine API "ImageList") or `podman images --format json`."""
    return LocalImages(
        _local_image(
            str(image.get("Id") or ""),
            _names(image.get("RepoTags") or image.get("Names") or ()),
            _names(image.get("RepoDigests") or ()),
            int(image.get("Size") or 0),
            tuple(_available(image.get("Manifests") or ())),
        )
        for image in images
    )


def read_rows(lines: Iterable[str]) -> LocalImages:
    """Read `docker image ls --digests --no-trunc --format '{{json .}}'`: one line for each name of each image."""
    tags: dict[str, list[str]] = {}
    digests: dict[str, list[str]] = {}
    for row in map(json.loads, filter(None, lines)):
        identity, name = str(row["ID"]), str(row["Repository"])
        tags.setdefault(identity, []).append(f"{name}:{row['Tag']}")
        digests.setdefault(identity, []).append(f"{name}@{row.get('Digest') or _NONE}")
    return LocalImages(_local_image(identity, _names(tags[identity]), _names(digests[identity])) for identity in tags)


def read_info(info: Mapping[str, Any], *, local: bool) -> EngineInfo:
    """Read `GET /info` (Engine API "SystemInfo"), `docker info` or `podman info`."""
    host, graph = info.get("host") or {}, info.get("store") or {}
    system, machine = info.get("OSType") or host.get("os"), info.get("Architecture") or host.get("arch")
    registries = info.get("RegistryConfig") or {}
    named = registries.get("IndexConfigs") or {}
    proxies = [str(info.get(key) or "") for key in ("HttpProxy", "HttpsProxy", "NoProxy")]
    return EngineInfo(
        platform=read_platform(system, _MACHINES.get(str(machine), machine)),
        keeps_platforms="io.containerd.snapshotter.v1" in json.dumps(info.get("DriverStatus") or ()),
        data_root=info.get("DockerRootDir") or graph.get("graphRoot") or None,
        local=local,
        insecure=(
            *(registries.get("InsecureRegistryCIDRs") or ()),
            *(name for name, how in named.items() if not how.get("Secure", True)),
        ),
        version=info.get("ServerVersion") or (info.get("version") or {}).get("Version") or None,
        driver=info.get("Driver") or graph.get("graphDriverName") or None,
        mirrors=tuple(map(str, registries.get("Mirrors") or ())),
        proxies=ProxySettings(*proxies) if "HttpProxy" in info else None,
        clock=_moment(str(info.get("SystemTime") or "")),
        identity=str(info.get("ID") or "") or None,
    )


def platform_of(image: Mapping[str, Any]) -> Platform | None:
    """Read the platform of an inspected image; a variant that the engine does not report stays None."""
    platform = _platform_in(image)
    return platform if platform is None or image.get("Variant") else replace(platform, variant=None)


def read_platform(system: object, machine: object, variant: object = None) -> Platform | None:
    """Make a platform from its parts; None where the operating system or the architecture is missing."""
    try:
        return Platform.parse("/".join(str(part) for part in (system, machine, variant) if part))
    except ValueError:
        return None


def read_inspected(image: Mapping[str, Any], reference: ImageReference) -> InspectedImage:
    """Read `GET /images/NAME/json` for an image that was looked up by this reference."""
    return inspected(image.get("Id"), image.get("RepoDigests") or (), reference, _platform_in(image))


def inspected(
    identity: str | None, repo_digests: Iterable[str], reference: ImageReference, platform: Platform | None = None
) -> InspectedImage:
    """Make an inspected image, with those of its `RepoDigests` that belong to the reference's repository."""
    digests: list[str] = []
    for text in repo_digests:
        known = ImageReference.read(text)
        if known and known.name == reference.name and known.digest and known.digest not in digests:
            digests.append(known.digest)
    return InspectedImage(identity, tuple(digests), platform)


def inspected_name(reference: ImageReference) -> str:
    """Return the name to look an image up by: engines forget the tag of an image that was pulled by digest."""
    return f"{reference.name}@{reference.digest}" if reference.digest else reference.canonical


def read_content(image: Mapping[str, Any]) -> ImageContents:
    """Read `GET /images/NAME/json` (Engine API "ImageInspect") or `image inspect`."""
    layers = (image.get("RootFS") or {}).get("Layers") or ()
    return ImageContents(
        str(image.get("Id") or ""),
        tuple(map(str, layers)),
        _platform_in(image),
        int(image.get("Size") or 0),
        str(image.get("Parent") or "") or None,
        tuple(name for name in _names(image.get("RepoTags") or ()) if "@" in name),
    )


def read_layer_sizes(history: Iterable[Mapping[str, Any]]) -> tuple[int, ...]:
    """Read `GET /images/NAME/history` or `history`: the bytes of each build step, base first.

    Raises ValueError for sizes with units, as nerdctl prints them.
    """
    return tuple(int(step.get("Size", step.get("size", 0))) for step in reversed(tuple(history)))


def _platform_in(image: Mapping[str, Any]) -> Platform | None:
    return read_platform(image.get("Os"), image.get("Architecture"), image.get("Variant"))


def _moment(text: str) -> datetime | None:
    """Read a time in RFC 3339 (nanoseconds are cut to microseconds); None without a time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _names(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(full_name(text) for text in texts if _NONE not in text))


def _local_image(
    identity: str, tags: tuple[str, ...], digests: tuple[str, ...], size: int = 0, platforms: tuple[Platform, ...] = ()
) -> LocalImage:
    """Make an image, with the digest in each repository that has a tag for it.

    The containerd store identifies an image by the digest of its manifest, and lists RepoDigests of one repository
    only, even when several repositories have tags for the image.
    """
    if any(text.endswith(f"@{identity}") for text in digests):
        own = (f"{tag.rpartition(':')[0]}@{identity}" for tag in tags if "@" not in tag)
        digests = tuple(dict.fromkeys((*digests, *own)))
    return LocalImage(identity, tags, digests, size, platforms)


def _available(manifests: Iterable[Mapping[str, Any]]) -> Iterator[Platform]:
    for manifest in manifests:
        if manifest.get("Kind") == "image" and manifest.get("Available"):
            platform = (manifest.get("ImageData") or {}).get("Platform") or {}
            if found := read_platform(platform.get("os"), platform.get("architecture"), platform.get("variant")):
                yield found
