"""The JSON of engines as values: the API and the commands give the same documents."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import Any

from puller.engine.interface import InspectedImage
from puller.engine.model import EngineInfo, ImageContents, LocalImage, LocalImages, full_name
from puller.errors import EngineError, FailureKind
from puller.http.proxies import ProxyVariables
from puller.image.reference import ImageReference, Platform
from puller.text import clean

_NONE = "<none>"
_IDENTITY = re.compile(r"[\w.+-]{1,20}:?[\w=-]{1,200}", re.ASCII)
"""A digest; podman leaves out the algorithm."""
_LARGEST = 1 << 60
"""Bytes: a larger number is none."""
_MACHINES = {"armv7l": "arm/v7", "armv6l": "arm/v6", "i686": "386", "loongarch64": "loong64"}
"""Architectures of `uname -m`, which engines report; `Platform.parse` knows the other aliases."""
_SILENT_SECONDS = 30.0
REMOVE_SECONDS = 600.0
"""Deleting a large image, with some hundred thousand files, takes minutes."""


class JsonImageStore(ABC):
    """The part of `ImageStore` that is the same however the engine is reached."""

    def __init__(self, *, local: bool) -> None:
        self._local = local
        self._lock = Lock()
        self._facts: EngineInfo | None = None
        self._silent: tuple[float, EngineError] | None = None
        """Until when an engine that did not describe itself is not asked again, and what it did instead."""

    def facts(self) -> EngineInfo:
        with self._lock:
            if self._silent and monotonic() < self._silent[0]:
                raise self._silent[1]
            try:
                with readable("description of itself"):
                    self._facts = self._facts or read_info(self._info(), local=self._local)
            except EngineError as error:
                self._silent = monotonic() + _SILENT_SECONDS, error
                raise
            return self._facts

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        with readable("description of an image"):
            found = self._inspect(identities, asked)
            known = {identity: platform for identity, image in found.items() if (platform := platform_of(image))}
            untold = [identity for identity, image in found.items() if _omits_platform(image)]
            return known | self._listed_platforms(untold) if untold else known

    def inspected(self, image: Mapping[str, Any], reference: ImageReference) -> InspectedImage:
        """Read the description of one image, and find out its platform if the engine omits it; see `read_inspected`."""
        found = read_inspected(image, reference)
        if not found.identity or not _omits_platform(image):
            return found
        return found._replace(platform=self._listed_platforms([found.identity]).get(found.identity))

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        with readable("description of an image"):
            return tuple(map(read_content, self._inspect(identities).values()))

    @abstractmethod
    def _info(self) -> Any: ...

    @abstractmethod
    def _listed_platforms(self, identities: Sequence[str]) -> dict[str, Platform]:
        """Return one platform of each image whose description omits it."""

    @abstractmethod
    def _inspect(self, identities: Sequence[str], platform: Platform | None = None) -> Mapping[str, Any]:
        """Return the description of each image by its ID, without images that have been removed meanwhile."""


def read_json(body: str | bytes) -> Any:
    """Parse the JSON of an engine, without control characters in its strings; raises EngineError."""
    try:
        text = body if isinstance(body, str) else body.decode()
        document = json.loads(text)
        return document if text.isascii() and "\\" not in text else _printable(document)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else "it is not JSON"
        words = f"the engine's response cannot be read: {why}"
        raise EngineError(words, kind=FailureKind.DAEMON_BAD_RESPONSE) from None


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else clean(value, len(value))
    if isinstance(value, dict):
        return {_printable(key): _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list) else value


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Raise EngineError where the JSON has an unexpected structure."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        words = f"the engine's {what} cannot be read: it is not what engines answer"
        raise EngineError(words, kind=FailureKind.DAEMON_BAD_RESPONSE) from None


def read_images(images: Iterable[Mapping[str, Any]]) -> LocalImages:
    """Read `GET /images/json` (Engine API "ImageList") or `podman images --format json`."""
    return LocalImages(_local_image(image) for image in images if image.get("Id"))


def read_rows(rows: Iterable[Mapping[str, Any]]) -> LocalImages:
    """Read `docker image ls --digests --no-trunc --format '{{json .}}'`: a row for each name of each image."""
    images: dict[str, dict[str, Any]] = {}
    for row in rows:
        identity, name = str(row["ID"]), row["Repository"]
        image = images.setdefault(identity, {"Id": identity, "RepoTags": [], "RepoDigests": []})
        image["RepoTags"].append(f"{name}:{row['Tag']}")
        image["RepoDigests"].append(f"{name}@{row.get('Digest') or _NONE}")
    return read_images(images.values())


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
        data_root=str(info.get("DockerRootDir") or graph.get("graphRoot") or "") or None,
        local=local,
        insecure=(
            *map(str, registries.get("InsecureRegistryCIDRs") or ()),
            *(name for name, how in named.items() if not how.get("Secure", True)),
        ),
        version=str(info.get("ServerVersion") or (info.get("version") or {}).get("Version") or "") or None,
        driver=str(info.get("Driver") or graph.get("graphDriverName") or "") or None,
        mirrors=tuple(map(str, registries.get("Mirrors") or ())),
        proxies=ProxyVariables(*proxies) if "HttpProxy" in info else None,
        clock=_moment(str(info.get("SystemTime") or "")),
        identity=str(info.get("ID") or "") or None,
        host=str(info.get("Name") or "") or None,
    )


def platform_of(image: Mapping[str, Any]) -> Platform | None:
    """Read the platform of an inspected image; a variant that the engine does not report stays None."""
    platform = _platform_in(image)
    return platform if platform is None or image.get("Variant") else platform._replace(variant=None)


def read_platform(system: object, machine: object, variant: object = None) -> Platform | None:
    """Make a platform from its parts; None where the operating system or the architecture is missing."""
    try:
        return Platform.parse("/".join(str(part) for part in (system, machine, variant) if part))
    except ValueError:
        return None


def read_inspected(image: Mapping[str, Any], reference: ImageReference) -> InspectedImage:
    """Read `GET /images/NAME/json` or `image inspect` for an image that was looked up by this reference.

    The digests are those of the reference's repository. What the tag resolved to comes first where the engine tells it,
    as podman. The platform is None for arm without a variant, as it may be any. Raises ValueError without an image ID.
    """
    identity = str(image.get("Id") or "")
    if not _IDENTITY.fullmatch(identity):
        raise ValueError(f"{identity!r} is not an image ID")
    names = sorted(image.get("RepoDigests") or (), key=lambda name: name.rpartition("@")[2] != image.get("Digest"))
    known = [each for each in map(ImageReference.read, names) if each and each.name == reference.name]
    digests = tuple(dict.fromkeys(each.digest for each in known if each.digest))
    unclear = image.get("Architecture") == "arm" and not image.get("Variant")
    return InspectedImage(identity, digests, None if unclear else _platform_in(image))


def _omits_platform(image: Mapping[str, Any]) -> bool:
    """Tell whether the engine has only other platforms of an image than its own: Engine 29 then has empty texts."""
    return image.get("Os") == "" == image.get("Architecture")


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
        size_of(image.get("Size")),
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


def size_of(value: object) -> int:
    """Read a number of bytes; 0 for anything else."""
    return value if isinstance(value, int) and 0 <= value <= _LARGEST else 0


def _names(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(full_name(text) for text in texts if _NONE not in text))


def _local_image(image: Mapping[str, Any]) -> LocalImage:
    """Read an image, and add its digest in each repository that has a tag for it.

    The containerd store identifies an image by the digest of its manifest, and lists RepoDigests of one repository
    only, even when several repositories have tags for the image.
    """
    identity, tags = str(image.get("Id") or ""), _names(image.get("RepoTags") or image.get("Names") or ())
    digests = _names(image.get("RepoDigests") or ())
    if any(text.endswith(f"@{identity}") for text in digests):
        own = (f"{tag.rpartition(':')[0]}@{identity}" for tag in tags if "@" not in tag)
        digests = tuple(dict.fromkeys((*digests, *own)))
    manifests = [each for each in image.get("Manifests") or () if each.get("Kind") == "image" and each.get("Available")]
    parts = [(each.get("ImageData") or {}).get("Platform") or {} for each in manifests]
    platforms = (read_platform(each.get("os"), each.get("architecture"), each.get("variant")) for each in parts)
    return LocalImage(identity, tags, digests, size_of(image.get("Size")), tuple(filter(None, platforms)))
