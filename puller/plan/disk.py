"""Is there room at an engine's data root? The check that `puller pull` makes before the first byte.

The check is cheap by design, and made only when an image must be pulled. With `has_ample_space` no registry is
asked. Images whose name the engine has are left out: an update shares most of its layers. For what is absent it takes
one or two manifests each; only if these look too large are configs, the engine's layers and the true sizes asked for,
and only what cannot fit is refused: not what merely might not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Timer

from puller.engine.disk import free_bytes, has_ample_space
from puller.engine.model import EngineInfo
from puller.errors import EngineError, RegistryError
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import LayerAccount, Stock, room_needed, room_needed_at_least
from puller.plan.model import Disk
from puller.plan.survey import explained, images_of, measured
from puller.registry.batch import ask_all
from puller.registry.client import RegistryClient
from puller.registry.responses import Described
from puller.text import clean, format_bytes

_PROBES = 3
"""Images by which each registry shows whether it answers, and whether it counts pulls."""
_PATIENCE = 10.0
"""Seconds after which no registry is waited for: the pull begins, checked or not."""


@dataclass(frozen=True, slots=True)
class DiskShortage:
    """Why a pull cannot end well."""

    path: str
    needed: int
    """Bytes, however the pulls come to lie in time; images that could not be looked at come on top."""
    free: int
    images: int
    """How many absent images were counted."""

    def __str__(self) -> str:
        """Say it with numbers."""
        noun = "1 image needs" if self.images == 1 else f"{self.images} images need"
        return (
            f"no space left on device: {noun} about {format_bytes(self.needed)} at {clean(self.path)},"
            f" {format_bytes(self.free)} are free"
        )


def disk(facts: EngineInfo, needed: int) -> Disk:
    """Compare a need with what is free where the engine keeps its images."""
    free, note = free_bytes(facts)
    return Disk(needed, facts.data_root, free, note)


def check_room(
    requests: Sequence[PullRequest],
    shelf: EngineInventory,
    connect: Callable[[EngineInfo], RegistryClient],
    say: Callable[[str], None],
) -> DiskShortage | None:
    """Find out whether what is absent fits on the engine's disk; None where it does, and where that is not known.

    `connect` makes a client for the registries, at need; `say` is told why nothing was checked.
    """
    try:
        room = disk(shelf.facts, 0)
        if room.free is None or room.path is None:
            say(f"disk not checked: {room.note}")
            return None
        if has_ample_space(shelf.facts, len(requests)):
            return None
        absent = [each for each in requests if shelf.held(each.reference) is None]
        if not absent:
            return None
        with connect(shelf.facts) as client:
            enough = Timer(_PATIENCE, client.close)
            enough.daemon = True
            enough.start()
            try:
                return _check(absent, room.path, room.free, _Look(shelf, client, say))
            finally:
                enough.cancel()
    except (EngineError, RegistryError) as trouble:
        say(f"disk not checked: {trouble}")
        return None


@dataclass(frozen=True, slots=True)
class _Look:
    shelf: EngineInventory
    client: RegistryClient
    say: Callable[[str], None]


def _check(absent: list[PullRequest], path: str, free: int, look: _Look) -> DiskShortage | None:
    wanted = _free_to_look_at(absent, look)
    names = [each.reference.digest or each.reference.tag or "latest" for each in wanted]
    answers = images_of(wanted, names, look.shelf, look.client)
    images = [
        (each, parts) for each, parts in zip(wanted, answers, strict=True) if not isinstance(parts, RegistryError)
    ]
    if len(images) < len(wanted):
        look.say(f"disk: {len(wanted) - len(images)} images could not be looked at")
    ledger, keeps_blobs = LayerAccount(Stock(look.shelf.facts.keeps_platforms)), look.shelf.facts.keeps_platforms
    if room_needed([ledger.add(parts) for _, parts in images], keeps_blobs=keeps_blobs) <= free:
        return None
    images = explained(images, look.client)
    stock = look.shelf.stock(images, look.client, {each.reference.registry for each in wanted})
    ledger = LayerAccount(stock)
    estimates = [ledger.add(parts) for parts in measured(images, stock, look.client)]
    needed = room_needed_at_least(estimates, keeps_blobs=keeps_blobs)
    return DiskShortage(path, needed, free, len(images)) if needed > free else None


def _free_to_look_at(absent: list[PullRequest], look: _Look) -> list[PullRequest]:
    """Leave out the images of registries that do not answer, and of those where a look would count as a pull."""
    probes: dict[str, list[PullRequest]] = {}
    for each in absent:
        if len(probes.setdefault(each.reference.registry, [])) < _PROBES:
            probes[each.reference.registry].append(each)
    asked = [(name, each) for name, some in probes.items() for each in some]
    answers = ask_all(asked, lambda each: look.client.head(each.reference))
    answered = {name: answer for (name, _), answer in zip(asked, answers, strict=True) if isinstance(answer, Described)}
    for name in probes:
        if name not in answered:
            look.say(f"disk: images of {name} are not counted, since it tells nothing of them")
        elif answered[name].quota:
            look.say(f"disk: images of {name} are not counted, since a look at them would count as a pull there")
    return [each for each in absent if (seen := answered.get(each.reference.registry)) and not seen.quota]
