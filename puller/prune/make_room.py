"""`--make-room`: removes images that puller pulled and this run does not name, until a pull fits on the disk."""

from collections.abc import Callable, Sequence

from puller.engine.disk import DiskShortage, free_bytes
from puller.engine.interface import ImageStore
from puller.errors import EngineError, PullerError
from puller.image.reference import ImageReference
from puller.prune.remove import REMOVED, find_candidates, remove, update_record
from puller.text import clean


def make_room(
    shortage: DiskShortage, store: ImageStore, listed: Sequence[ImageReference], tell: Callable[[str], None]
) -> bool:
    """Remove images until the shortage is covered; return whether any was removed. Never raises.

    Images that `listed` names stay; `tell` gets a line for each image that was removed or could not be.
    """

    def enough() -> bool:
        return (free_bytes(store.facts())[0] or 0) >= shortage.needed

    removed = 0
    try:
        plan = find_candidates(store, listed)
        for removal in remove([each for each in plan.removable if each.whole], store, enough):
            removed += removal.action in REMOVED
            tell(f"{removal}, to make room")
        if removed:
            update_record(store)
    except (EngineError, PullerError) as error:
        tell(f"no more disk space could be freed: {clean(str(error))}")
    except Exception as error:  # noqa: BLE001 - as for the disk check: the pull is refused, and the run ends cleanly
        tell(f"no more disk space could be freed: {type(error).__name__}: {clean(str(error))}")
    return bool(removed)
