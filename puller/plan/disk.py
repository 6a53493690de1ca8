"""Whether images fit on the disk of an engine: the check that `puller pull` makes before the first byte.

It is made only when an image must be pulled. With `has_ample_space` no registry is asked. Images whose name the engine
has are left out: an update shares most of its layers. An absent image costs one or two manifests; only if these look
too large are configs, the engine's layers and the true sizes asked for. Only what cannot fit is refused.
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
_LONGEST = 10.0
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
        """Return the message for the user."""
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
    inventory: EngineInventory,
    registries: RegistryClient,
    say: Callable[[str], None],
) -> DiskShortage | None:
    """Tell whether what is absent fits on the engine's disk; None where it does, and where that is not known.

    `say` is told why nothing was checked.
    """
    try:
        room = disk(inventory.facts, 0)
        if room.free is None or room.path is None:
            say(f"disk not checked: {room.note}")
            return None
        if has_ample_space(inventory.facts, len(requests)):
            return None
        absent = [each for each in requests if inventory.held(each.reference) is None]
        if not absent:
            return None
        with registries.quick() as client:
            enough = Timer(_LONGEST, client.close)
            enough.daemon = True
            enough.start()
            try:
                return _check(absent, room.path, room.free, _Look(inventory, client, say))
            finally:
                enough.cancel()
    except (EngineError, RegistryError) as trouble:
        say(f"disk not checked: {trouble}")
        return None


@dataclass(frozen=True, slots=True)
class _Look:
    inventory: EngineInventory
    client: RegistryClient
    say: Callable[[str], None]


def _check(absent: list[PullRequest], path: str, free: int, look: _Look) -> DiskShortage | None:
    wanted = _free_to_look_at(absent, look)
    names = [each.reference.digest or each.reference.tag or "latest" for each in wanted]
    answers = images_of(wanted, names, look.inventory, look.client)
    images = [
        (each, parts) for each, parts in zip(wanted, answers, strict=True) if not isinstance(parts, RegistryError)
    ]
    if len(images) < len(wanted):
        look.say(f"disk: {len(wanted) - len(images)} images could not be looked at")
    keeps_blobs = look.inventory.facts.keeps_platforms
    account = LayerAccount(Stock(keeps_blobs))
    if room_needed([account.add(parts) for _, parts in images], keeps_blobs=keeps_blobs) <= free:
        return None
    images = explained(images, look.client)
    stock = look.inventory.stock(images, look.client, {each.reference.registry for each in wanted})
    account = LayerAccount(stock)
    estimates = [account.add(parts) for parts in measured(images, stock, look.client)]
    needed = room_needed_at_least(estimates, keeps_blobs=keeps_blobs)
    return DiskShortage(path, needed, free, len(images)) if needed > free else None


def _free_to_look_at(absent: list[PullRequest], look: _Look) -> list[PullRequest]:
    """Leave out images of registries that do not answer, and of those where a manifest would count as a pull."""
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
