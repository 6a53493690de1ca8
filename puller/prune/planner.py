"""What may go: what puller brought to an engine and nobody wants or uses any more. Pure; nothing is removed here.

Names go, not images: an image goes with its last name, so that one which somebody else has named stays. Only an image
that puller brought and that has lost its tag to a newer one is removed by its digest, or by its ID where the engine
knows it by nothing else.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from puller.engine.model import Container, ImageContents, LocalImage, LocalImages, full_name
from puller.image.reference import ImageReference
from puller.prune.pull_record import PulledName, names_of


class Reason(StrEnum):
    """Why an image, or a name of it, stays."""

    LISTED = "listed"
    IN_USE = "in_use"
    """A container uses it, in whatever state."""
    BUILT_ON = "built_on"
    """Another image here is built on it."""
    RECENT = "recent"
    """Among the newest of its repository, which were asked to be kept."""
    NOT_OURS = "not_ours"
    """It was there before, or it has names that puller did not give it and that must not go with puller's own."""


@dataclass(frozen=True, slots=True)
class Going:
    """An image that may go, or of which some names may."""

    image: LocalImage
    targets: tuple[str, ...]
    """What to remove, in this order: names, or the ID."""
    whole: bool
    """Whether no name is left then, and the image goes."""
    brought: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Staying:
    """An image that puller brought and that stays."""

    image: LocalImage
    names: tuple[str, ...]
    reason: Reason
    detail: str = ""
    """The container, the image or the name that keeps it."""


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What may go, what was wanted longest ago first, and what stays of all that puller brought."""

    going: tuple[Going, ...]
    staying: tuple[Staying, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """An engine at one moment, as far as it matters here."""

    holdings: LocalImages
    contents: Mapping[str, ImageContents]
    """By the image's ID."""
    containers: Sequence[Container] = ()


def plan_prune(
    known: Sequence[PulledName], scene: Scene, wanted: Iterable[ImageReference], *, keep_last: int = 0
) -> PrunePlan:
    """Decide about every image that puller brought; of each repository the `keep_last` newest of these stay."""
    listed = {name for reference in wanted for name in names_of(reference)}
    recent = _recent(known, scene.holdings, keep_last)
    images: dict[str, list[PulledName]] = {}
    for entry in known:
        images.setdefault(entry.identity, []).append(entry)
    going: list[Going] = []
    staying: list[Staying] = []
    for identity, entries in images.items():
        image = scene.holdings.of(identity)
        if image is None:
            continue
        match _decide(image, entries, scene, listed, recent):
            case Going() as goes:
                going.append(goes)
            case Staying() as stays:
                staying.append(stays)
    going.sort(key=lambda each: (each.wanted, each.brought))
    return PrunePlan(tuple(going), tuple(staying))


def _decide(
    image: LocalImage, entries: Sequence[PulledName], scene: Scene, listed: Collection[str], recent: Collection[str]
) -> Going | Staying:
    tags, pins = _references(image, scene)
    ours = [entry.name for entry in entries if entry.named and entry.name in (*tags, *pins, *image.digests)]
    shown = tuple(ours) or image.digests or (image.identity,)
    if stays := _stays(image, pins, scene, listed, recent):
        return Staying(image, shown, *stays)
    mine = [name for name in ours if name not in listed]
    homes = {_home(name) for name in (*tags, *pins, *(entry.name for entry in entries))}
    foreign = [name for name in (*tags, *pins) if name not in mine]
    foreign += [name for name in image.digests if _home(name) not in homes]
    if foreign:
        targets = [name for name in mine if not _drags_along(name, foreign)]
    elif any(entry.new for entry in entries):
        tagged = {_home(name) for name in mine if "@" not in name}
        rest = [name for name in image.digests if _home(name) not in tagged and name not in mine]
        targets = sorted(mine, key=lambda name: "@" in name) + rest or [image.identity]
    else:
        targets = []
    if not targets:
        reason = Reason.NOT_OURS if len(mine) == len(ours) else Reason.LISTED
        return Staying(image, shown, reason, next(iter(foreign), "") if reason is Reason.NOT_OURS else "")
    times = max((entry.wanted, entry.brought) for entry in entries)
    return Going(image, tuple(targets), not foreign, times[1], times[0])


def _references(image: LocalImage, scene: Scene) -> tuple[list[str], list[str]]:
    """Give the tags of an image, and the digests by which somebody holds it beside them (containerd store)."""
    content = scene.contents.get(image.identity)
    pins = [*(name for name in image.tags if "@" in name), *(content.pins if content else ())]
    return [name for name in image.tags if "@" not in name], list(dict.fromkeys(pins))


def _stays(
    image: LocalImage, pins: Sequence[str], scene: Scene, listed: Collection[str], recent: Collection[str]
) -> tuple[Reason, str] | None:
    """Say why an image stays with all its names."""
    if any(name in listed for name in (*image.digests, *pins)):
        return Reason.LISTED, ""
    for container in scene.containers:
        if container.image == image.identity or full_name(container.image) in (*image.tags, *image.digests):
            return Reason.IN_USE, container.name
    for content in scene.contents.values():
        if content.parent == image.identity:
            child = scene.holdings.of(content.identity)
            return Reason.BUILT_ON, next(iter(child.tags if child else ()), content.identity)
    return (Reason.RECENT, "") if image.identity in recent else None


def _drags_along(name: str, foreign: Iterable[str]) -> bool:
    """Whether something of others goes, or loses its digest, with this name.

    Engines remove the digests of a repository with its last tag; and a digest of the graph store serves all its tags.
    """
    beside = [other for other in foreign if _home(other) == _home(name)]
    return bool(beside) and ("@" in name or all("@" in other for other in beside))


def _recent(known: Sequence[PulledName], holdings: LocalImages, number: int) -> set[str]:
    """Give the IDs of the newest images of each repository."""
    newest: dict[str, dict[str, None]] = {}
    for entry in sorted(known, key=lambda entry: entry.brought)[::-1]:
        if holdings.of(entry.identity):
            newest.setdefault(_home(entry.name), {})[entry.identity] = None
    return {identity for images in newest.values() for identity in list(images)[:number]}


def _home(name: str) -> str:
    """Give the repository of a name in full."""
    name = name.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name
