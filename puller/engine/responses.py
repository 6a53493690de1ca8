"""What engines answer about their images, turned into values: the same JSON from the API and from the commands."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from puller.engine.interface import InspectedImage
from puller.engine.model import EngineInfo, ImageContents, LocalImage, LocalImages, ProxySettings, full_name
from puller.engine.progress import inspected
from puller.image.reference import ImageReference, Platform

_NONE = "<none>"
_MACHINES = {"armv7l": "arm/v7", "armv6l": "arm/v6", "i686": "386", "loongarch64": "loong64"}
"""What `uname -m` calls processors, which is what engines pass on; the rest is folded with all other aliases."""


def read_images(images: Iterable[Mapping[str, Any]]) -> LocalImages:
    """Read what `GET /images/json` and `podman images --format json` say (Engine API "ImageList")."""
    return LocalImages(
        _held(
            str(image.get("Id") or ""),
            _names(image.get("RepoTags") or image.get("Names") or ()),
            _names(image.get("RepoDigests") or ()),
            int(image.get("Size") or 0),
            tuple(_available(image.get("Manifests") or ())),
        )
        for image in images
    )


def read_rows(lines: Iterable[str]) -> LocalImages:
    """Read `docker image ls --digests --no-trunc --format '{{json .}}'`: a row for each name of each image."""
    tags: dict[str, list[str]] = {}
    digests: dict[str, list[str]] = {}
    for row in map(json.loads, filter(None, lines)):
        identity, name = str(row["ID"]), str(row["Repository"])
        tags.setdefault(identity, []).append(f"{name}:{row['Tag']}")
        digests.setdefault(identity, []).append(f"{name}@{row.get('Digest') or _NONE}")
    return LocalImages(_held(identity, _names(tags[identity]), _names(digests[identity])) for identity in tags)


def read_info(info: Mapping[str, Any], *, local: bool) -> EngineInfo:
    """Read what `GET /info` and `docker info` say (Engine API "SystemInfo"), or `podman info`."""
    host, graph = info.get("host") or {}, info.get("store") or {}
    system, machine = info.get("OSType") or host.get("os"), info.get("Architecture") or host.get("arch")
    machine = _MACHINES.get(str(machine), machine)
    registries = info.get("RegistryConfig") or {}
    named = registries.get("IndexConfigs") or {}
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
        proxies=_proxies(info) if "HttpProxy" in info else None,
        clock=_moment(str(info.get("SystemTime") or "")),
        identity=str(info.get("ID") or "") or None,
    )


def platform_of(image: Mapping[str, Any]) -> Platform | None:
    """Read the platform from what an inspect says; a variant that is not said stays unsaid."""
    platform = _platform_in(image)
    return platform if platform is None or image.get("Variant") else replace(platform, variant=None)


def read_platform(system: object, machine: object, variant: object = None) -> Platform | None:
    """Make a platform of what an engine says; None where it says too little."""
    try:
        return Platform.parse("/".join(str(part) for part in (system, machine, variant) if part))
    except ValueError:
        return None


def read_inspected(image: Mapping[str, Any], reference: ImageReference) -> InspectedImage:
    """Read what `GET /images/NAME/json` says of an image that was asked for by this reference."""
    return inspected(image.get("Id"), image.get("RepoDigests") or (), reference, _platform_in(image))


def read_content(image: Mapping[str, Any]) -> ImageContents:
    """Read what `GET /images/NAME/json` and `image inspect` say (Engine API "ImageInspect")."""
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
    """Read what `GET /images/NAME/history` and `history` say: bytes of each step of a build, base first.

    Raises ValueError where a command writes them for people only.
    """
    return tuple(int(step.get("Size", step.get("size", 0))) for step in reversed(tuple(history)))


def _platform_in(image: Mapping[str, Any]) -> Platform | None:
    return read_platform(image.get("Os"), image.get("Architecture"), image.get("Variant"))


def _proxies(info: Mapping[str, Any]) -> ProxySettings:
    http, https, exceptions = (str(info.get(key) or "") for key in ("HttpProxy", "HttpsProxy", "NoProxy"))
    return ProxySettings(http, https, exceptions)


def _moment(text: str) -> datetime | None:
    """Read RFC 3339, which has more digits of a second here than Python tells apart."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _names(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(full_name(text) for text in texts if _NONE not in text))


def _held(
    identity: str,
    tags: tuple[str, ...],
    digests: tuple[str, ...],
    size: int = 0,
    platforms: tuple[Platform, ...] = (),
) -> LocalImage:
    """Give each tag its digest on the containerd store, which knows an image by its manifest's digest.

    There RepoDigests name one repository only, however many repositories have tags for the image.
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
