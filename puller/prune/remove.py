"""Looking for what may go from an engine, and removing it name by name, never by force, each after one more look."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from puller.engine.interface import ImageStore
from puller.engine.model import LocalImage
from puller.errors import EngineError, PullerError
from puller.failure import Failure, classify, failure
from puller.image.reference import ImageReference
from puller.model import ENGINE_GONE
from puller.plan.inventory import EngineInventory
from puller.prune.freed import freed
from puller.prune.planner import Going, PrunePlan, Scene, plan_prune
from puller.prune.pull_record import PulledName, PullRecord, settled
from puller.text import clean

_ABSENT = re.compile(r"no such image|image not known", re.IGNORECASE)
"""What engines say of a name that went with another one."""


class Action(StrEnum):
    """What came of an image that might go."""

    REMOVED = "removed"
    UNTAGGED = "untagged"
    """Names went, and the image stays under others."""
    CHANGED = "changed"
    """Somebody named it, or removed it, since it was looked at: it was left alone."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Removal:
    """What was done about one image."""

    going: Going
    action: Action
    error: str = ""
    """The engine's words."""

    def __str__(self) -> str:
        """Say it in one line."""
        line = f"{_WORDS[self.action]} {clean(', '.join(self.going.targets))}"
        return f"{line}: {self.error}" if self.error else line


REMOVED = (Action.REMOVED, Action.UNTAGGED)
_WORDS = {
    Action.REMOVED: "removed",
    Action.UNTAGGED: "untagged",
    Action.CHANGED: "left alone, since it has changed meanwhile:",
    Action.FAILED: "could not remove",
}


@dataclass(frozen=True, slots=True)
class PruneCandidates:
    """What may go, and what that would free."""

    plan: PrunePlan
    frees: tuple[int, ...]
    """Bytes that each of those that may go frees at most, when those before it have gone."""


def look(store: ImageStore, wanted: Iterable[ImageReference], *, keep_last: int = 0) -> PruneCandidates:
    """Ask the engine about all that puller brought to it; raises EngineError, and PullerError for one without an ID."""
    shelf = EngineInventory(store)
    known = settled(_memory(store).recall(), shelf.holdings)
    if not known:
        return PruneCandidates(PrunePlan((), ()), ())
    plan = plan_prune(known, Scene(shelf.holdings, shelf.contents, store.containers()), wanted, keep_last=keep_last)
    whole = [each.image for each in plan.going if each.whole]
    frees = freed(whole, shelf.contents, store.layer_sizes, keeps_blobs=shelf.facts.keeps_platforms)
    return PruneCandidates(plan, tuple(frees.get(each.image.identity, 0) for each in plan.going))


def remove(going: Iterable[Going], store: ImageStore, enough: Callable[[], bool] = lambda: False) -> Iterator[Removal]:
    """Remove one image after the other until it is enough; raises EngineError only when the engine has gone."""
    for each in going:
        if enough():
            return
        yield _remove(each, store)


def forget(store: ImageStore) -> None:
    """Let the memory follow what has gone; raises EngineError and PullerError."""
    held = store.holdings()

    def without_the_gone(known: tuple[PulledName, ...]) -> tuple[PulledName, ...]:
        return settled(known, held)

    _memory(store).change(without_the_gone)


def _memory(store: ImageStore) -> PullRecord:
    identity = store.facts().identity
    if identity is None:
        raise PullerError("this engine has no ID of its own, so puller does not know what it brought there")
    return PullRecord(identity)


def _remove(going: Going, store: ImageStore) -> Removal:
    now = store.holdings().of(going.image.identity)
    if now is None or _names(now) != _names(going.image):
        return Removal(going, Action.CHANGED)
    for target in going.targets:
        try:
            store.untag(target)
        except EngineError as error:
            why = _read(error)
            if why.kind in ENGINE_GONE:
                raise
            if not _ABSENT.search(error.message):
                return Removal(going, Action.FAILED, why.message)
    return Removal(going, Action.REMOVED if going.whole else Action.UNTAGGED)


def _names(image: LocalImage) -> set[str]:
    return {*image.tags, *image.digests}


def _read(error: EngineError) -> Failure:
    return failure(error.kind, error.message) if error.kind else classify(error.message, error.status)
