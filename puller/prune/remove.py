"""Finds the images that may be removed, and removes them name by name, never by force."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from puller.engine.disk import DiskShortage, free_bytes
from puller.engine.interface import ImageStore
from puller.engine.model import LocalImage
from puller.errors import EngineError, PullerError
from puller.failure import failure_of
from puller.image.reference import ImageReference
from puller.model import ENGINE_GONE
from puller.plan.inventory import EngineInventory
from puller.prune.planner import EngineState, PrunePlan, Reason, Removable, freed_bytes, plan_prune
from puller.prune.pull_record import PullRecord, settled
from puller.text import clean, counted

_ABSENT = re.compile(r"no such image|image not known", re.IGNORECASE)
"""The engine's message about a name that was removed together with another one."""


class Action(StrEnum):
    """What happened to an image that could be removed."""

    REMOVED = "removed"
    UNTAGGED = "untagged"  # some names were removed; the image has others
    CHANGED = "changed"  # its names changed since they were listed, so it was not removed
    FAILED = "failed"


class Removal(NamedTuple):
    """The result for one image."""

    candidate: Removable
    action: Action
    error: str = ""  # the engine's error message

    def __str__(self) -> str:
        line = f"{_PHRASES[self.action]} {clean(', '.join(self.candidate.targets))}"
        return f"{line}: {self.error}" if self.error else line


_PHRASES = {
    Action.REMOVED: "removed",
    Action.UNTAGGED: "untagged",
    Action.CHANGED: "not removed, because its names have changed:",
    Action.FAILED: "could not remove",
}


def find_candidates(store: ImageStore, listed: Iterable[ImageReference], *, keep_last: int = 0) -> PrunePlan:
    """Plan the removal of what puller pulled; raises EngineError, and PullerError if the engine has no ID."""
    inventory = EngineInventory(store)
    known = settled(_record(store).read(), inventory.holdings)
    if not known:
        return PrunePlan((), ())
    engine = EngineState(inventory.holdings, inventory.contents, store.containers())
    plan = plan_prune(known, engine, listed, keep_last=keep_last)
    whole = [each.image for each in plan.removable if each.whole]
    frees = freed_bytes(whole, inventory.contents, store.layer_sizes, keeps_blobs=inventory.facts.keeps_platforms)
    removable = (each._replace(frees=frees.get(each.image.identity, 0)) for each in plan.removable)
    return plan._replace(removable=tuple(removable))


def remove(
    candidates: Iterable[Removable], store: ImageStore, enough: Callable[[], bool] = lambda: False
) -> Iterator[Removal]:
    """Remove images one by one, until `enough()` is true.

    The record is updated at the end. Raises EngineError if the engine no longer answers, and PullerError if the record
    cannot be written.
    """
    tried = False
    try:
        for candidate in candidates:
            if enough():
                return
            tried = True
            yield _remove(candidate, store)
    finally:
        if tried:
            images = store.holdings()
            _record(store).update(lambda known: settled(known, images))


def until_free(wanted: int, free: Callable[[], int | None]) -> Callable[[], bool]:
    """Return where `remove` ends: when `wanted` bytes are free, or when nobody knows, as then everything would go."""

    def enough() -> bool:
        now = free()
        return now is None or now >= wanted

    return enough


def make_room(
    shortage: DiskShortage, store: ImageStore, listed: Sequence[ImageReference], tell: Callable[[str], None]
) -> bool:
    """Remove images that puller pulled and `listed` does not name, until a pull fits on the disk (`--make-room`).

    Never raises. Returns whether any image was removed; `tell` gets a line for each one that was or could not be, and
    one if there is none.
    """
    removed = False
    try:
        found = find_candidates(store, listed)
        whole = [each for each in found.removable if each.whole]
        if not whole:
            stay = len(found.removable) + sum(each.reason is not Reason.LISTED for each in found.kept)
            why = "puller pulled no images that these lists do not name"
            if stay:
                why = f"{counted(stay, 'image')} that these lists do not name must stay (`puller prune --dry-run LIST`)"
            tell(f"--make-room: nothing to remove: {why}")
        for removal in remove(whole, store, until_free(shortage.needed, lambda: free_bytes(store.facts())[0])):
            removed = removed or removal.action in (Action.REMOVED, Action.UNTAGGED)
            tell(f"{removal}, to make room")
    except Exception as error:  # noqa: BLE001 - as for the disk check: the pull is refused, and the run ends cleanly
        why = str(error) if isinstance(error, (EngineError, PullerError)) else f"{type(error).__name__}: {error}"
        tell(f"no more disk space could be freed: {clean(why)}")
    return removed


def _record(store: ImageStore) -> PullRecord:
    identity = store.facts().identity
    if identity is None:
        raise PullerError("this engine has no ID, so puller has no record of the images that it pulled")
    return PullRecord(identity)


def _remove(candidate: Removable, store: ImageStore) -> Removal:
    now = store.holdings().of(candidate.image.identity)
    if now is None or _names(now) != _names(candidate.image):
        return Removal(candidate, Action.CHANGED)
    for target in candidate.targets:
        try:
            store.untag(target)
        except EngineError as error:
            why = failure_of(error)
            if why.kind in ENGINE_GONE:
                raise
            if not _ABSENT.search(error.message):
                return Removal(candidate, Action.FAILED, why.message)
    return Removal(candidate, Action.REMOVED if candidate.whole else Action.UNTAGGED)


def _names(image: LocalImage) -> set[str]:
    return {*image.tags, *image.digests}
