"""Decides which images may be removed: those that puller pulled and that no list and no container uses. No I/O.

puller removes names; an image is removed with its last name, so an image that somebody else has tagged stays. Only an
image that puller pulled and whose tag has moved to a newer image is removed by its digest, or by its ID if the engine
knows no digest.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from puller.engine.model import Container, ImageContents, LocalImage, LocalImages, full_name
from puller.image.reference import ImageReference
from puller.plan.layers import chain_ids
from puller.prune.pull_record import PulledName, names_of


class Reason(StrEnum):
    """Why an image, or one of its names, stays."""

    LISTED = "listed"
    IN_USE = "in_use"  # a container uses it, whether it is running or not
    BUILT_ON = "built_on"  # another image is built on it
    RECENT = "recent"  # it is among the newest of its repository (`--keep-last`)
    NOT_OURS = "not_ours"  # puller did not pull it, or names that puller did not give would be removed too


class Removable(NamedTuple):
    """An image that may be removed, or of which some names may be removed."""

    image: LocalImage
    targets: tuple[str, ...]  # what to remove, in this order: names, digests or the ID
    whole: bool  # whether this removes the image, and not only some of its names
    pulled: str  # time of the last pull, as in `PulledName`
    last_listed: str
    frees: int = 0  # bytes that the removal frees at most, after those before it in the plan


class Kept(NamedTuple):
    """An image that puller pulled and that stays."""

    image: LocalImage
    names: tuple[str, ...]
    reason: Reason
    detail: str = ""  # the container, image or name because of which it stays


class PrunePlan(NamedTuple):
    """All images that puller pulled: those that may be removed, least recently listed first, and those that stay."""

    removable: tuple[Removable, ...]
    kept: tuple[Kept, ...]


class EngineState(NamedTuple):
    """The images and containers of an engine."""

    images: LocalImages
    contents: Mapping[str, ImageContents]  # by image ID
    containers: Sequence[Container] = ()


def plan_prune(
    known: Sequence[PulledName], engine: EngineState, listed: Iterable[ImageReference], *, keep_last: int = 0
) -> PrunePlan:
    """Decide about every image that puller pulled; the `keep_last` newest of each repository stay."""
    listed_names = {name for reference in listed for name in names_of(reference)}
    recent = _recent(known, engine.images, keep_last)
    pulled_names: dict[str, list[PulledName]] = {}
    for entry in known:
        pulled_names.setdefault(entry.identity, []).append(entry)
    decisions = [
        _decide(image, entries, engine, listed_names, recent)
        for identity, entries in pulled_names.items()
        if (image := engine.images.of(identity))
    ]
    removable = [each for each in decisions if isinstance(each, Removable)]
    removable.sort(key=lambda each: (each.last_listed, each.pulled))
    return PrunePlan(tuple(removable), tuple(each for each in decisions if isinstance(each, Kept)))


def _decide(
    image: LocalImage,
    entries: Sequence[PulledName],
    engine: EngineState,
    listed: Collection[str],
    recent: Collection[str],
) -> Removable | Kept:
    tags, pins = _tags_and_pins(image, engine)
    ours = [entry.name for entry in entries if entry.named and entry.name in (*tags, *pins, *image.digests)]
    shown = tuple(ours) or image.digests or (image.identity,)
    if reason := _reason_to_keep(image, pins, engine, listed, recent):
        return Kept(image, shown, *reason)
    unlisted = [name for name in ours if name not in listed]
    repositories = {_repository(name) for name in (*tags, *pins, *(entry.name for entry in entries))}
    foreign = [name for name in (*tags, *pins) if name not in unlisted]
    foreign += [name for name in image.digests if _repository(name) not in repositories]
    targets: list[str] = []
    if foreign:
        targets = [name for name in unlisted if not _removes_others(name, foreign)]
    elif any(entry.new for entry in entries):
        tagged = {_repository(name) for name in unlisted if "@" not in name}
        rest = [name for name in image.digests if _repository(name) not in tagged and name not in unlisted]
        targets = sorted(unlisted, key=lambda name: "@" in name) + rest or [image.identity]
    if not targets:
        if len(unlisted) < len(ours):
            return Kept(image, shown, Reason.LISTED)
        return Kept(image, shown, Reason.NOT_OURS, next(iter(foreign), ""))
    last_listed, pulled = max((entry.wanted, entry.brought) for entry in entries)
    return Removable(image, tuple(targets), not foreign, pulled, last_listed)


def _tags_and_pins(image: LocalImage, engine: EngineState) -> tuple[list[str], list[str]]:
    """Return the tags of an image, and its names by digest, which the containerd store keeps beside the tags."""
    content = engine.contents.get(image.identity)
    pins = [*(name for name in image.tags if "@" in name), *(content.pins if content else ())]
    return [name for name in image.tags if "@" not in name], list(dict.fromkeys(pins))


def _reason_to_keep(
    image: LocalImage, pins: Sequence[str], engine: EngineState, listed: Collection[str], recent: Collection[str]
) -> tuple[Reason, str] | None:
    """Return why an image stays with all its names, and the detail."""
    if any(name in listed for name in (*image.digests, *pins)):
        return Reason.LISTED, ""
    for container in engine.containers:
        if container.image == image.identity or full_name(container.image) in (*image.tags, *image.digests):
            return Reason.IN_USE, container.name
    for content in engine.contents.values():
        if content.parent == image.identity:
            child = engine.images.of(content.identity)
            return Reason.BUILT_ON, next(iter(child.tags if child else ()), content.identity)
    return (Reason.RECENT, "") if image.identity in recent else None


def _removes_others(name: str, foreign: Iterable[str]) -> bool:
    """Tell whether the removal of this name also removes a name of somebody else, or its digest.

    Engines remove the digests of a repository with its last tag, and on the graph store all tags share a digest.
    """
    same_repository = [other for other in foreign if _repository(other) == _repository(name)]
    return bool(same_repository) and ("@" in name or all("@" in other for other in same_repository))


def _recent(known: Sequence[PulledName], images: LocalImages, number: int) -> set[str]:
    """Return the IDs of the newest images of each repository: the last in the record, whatever the clock was then."""
    newest: dict[str, dict[str, None]] = {}
    for entry in reversed(known):
        if images.of(entry.identity):
            newest.setdefault(_repository(entry.name), {})[entry.identity] = None
    return {identity for identities in newest.values() for identity in list(identities)[:number]}


def _repository(name: str) -> str:
    name = name.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name


def freed_bytes(
    images: Sequence[LocalImage],
    contents: Mapping[str, ImageContents],
    layer_sizes: Callable[[str], Sequence[int]],
    *,
    keeps_blobs: bool,
) -> dict[str, int]:
    """Return by ID how many bytes the removal of each image frees at most, if they are removed in this order.

    A layer is freed with the last image that has it. The rest of an image's size, such as the blobs of the containerd
    store, counts for each image although images may share it; hence "at most". The image list of that store counts
    blobs and unpacked layers, its inspect only blobs (`keeps_blobs`).
    """
    users: dict[str, int] = {}
    for each in contents.values():
        for chain in chain_ids(each.layers):
            users[chain] = users.get(chain, 0) + 1
    freed: dict[str, int] = {}
    for image, content in ((image, contents[image.identity]) for image in images if image.identity in contents):
        history = layer_sizes(image.identity)
        size = image.size or content.size + (sum(history) if keeps_blobs else 0)
        shared = 0
        for chain, layer in zip(chain_ids(content.layers), _sizes_by_layer(content, history), strict=True):
            users[chain] -= 1
            shared += layer if users[chain] else 0
        freed[image.identity] = max(size - shared, 0)
    return freed


def _sizes_by_layer(content: ImageContents, history: Sequence[int]) -> Iterable[int]:
    """Match the sizes in the build history with layers; 0 for every layer if they do not match.

    Some build steps add no layer; their size is 0.
    """
    for sizes in (history, [size for size in history if size]):
        if len(sizes) == len(content.layers):
            return sizes
    return [0] * len(content.layers)
