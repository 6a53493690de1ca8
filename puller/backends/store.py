"""What engines answer about their images, turned into values: the same JSON from the API and from the commands."""

import json
from typing import TYPE_CHECKING, Any

from puller.holdings import Content, EngineFacts, Held, Holdings, full_name
from puller.reference import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NONE = "<none>"
_MACHINES = {"armv7l": "arm/v7", "armv6l": "arm/v6"}
"""What a kernel calls itself, where it is no architecture of an image."""


def read_images(images: "Iterable[Mapping[str, Any]]") -> Holdings:
    """Read what `GET /images/json` and `podman images --format json` say (Engine API "ImageList")."""
    return Holdings(
        Held(
            str(image.get("Id") or ""),
            _names(image.get("RepoTags") or image.get("Names") or ()),
            _names(image.get("RepoDigests") or ()),
            int(image.get("Size") or 0),
        )
        for image in images
    )


def read_rows(lines: "Iterable[str]") -> Holdings:
    """Read `docker image ls --digests --no-trunc --format '{{json .}}'`: a row for each name of each image."""
    tags: dict[str, list[str]] = {}
    digests: dict[str, list[str]] = {}
    for row in map(json.loads, filter(None, lines)):
        identity, name = str(row["ID"]), str(row["Repository"])
        tags.setdefault(identity, []).append(f"{name}:{row['Tag']}")
        digests.setdefault(identity, []).append(f"{name}@{row.get('Digest') or _NONE}")
    return Holdings(Held(identity, _names(tags[identity]), _names(digests[identity])) for identity in tags)


def read_info(info: "Mapping[str, Any]", *, local: bool) -> EngineFacts:
    """Read what `GET /info` and `docker info` say (Engine API "SystemInfo"), or `podman info`."""
    host, graph = info.get("host") or {}, info.get("store") or {}
    system, machine = info.get("OSType") or host.get("os"), info.get("Architecture") or host.get("arch")
    machine = _MACHINES.get(str(machine), machine)
    registries = info.get("RegistryConfig") or {}
    named = registries.get("IndexConfigs") or {}
    return EngineFacts(
        platform=_platform(f"{system}/{machine}"),
        keeps_platforms="io.containerd.snapshotter.v1" in json.dumps(info.get("DriverStatus") or ()),
        data_root=info.get("DockerRootDir") or graph.get("graphRoot") or None,
        local=local,
        insecure=(
            *(registries.get("InsecureRegistryCIDRs") or ()),
            *(name for name, how in named.items() if not how.get("Secure", True)),
        ),
    )


def read_content(image: "Mapping[str, Any]") -> Content:
    """Read what `GET /images/NAME/json` and `image inspect` say (Engine API "ImageInspect")."""
    platform = "/".join(filter(None, (image.get("Os"), image.get("Architecture"), image.get("Variant"))))
    layers = (image.get("RootFS") or {}).get("Layers") or ()
    return Content(str(image.get("Id") or ""), tuple(map(str, layers)), _platform(platform))


def _names(texts: "Iterable[str]") -> tuple[str, ...]:
    return tuple(dict.fromkeys(full_name(text) for text in texts if _NONE not in text))


def _platform(text: str) -> Platform | None:
    try:
        return Platform.parse(text)
    except ValueError:
        return None
