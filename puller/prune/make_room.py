"""`--make-room`: removes images that puller pulled and this run does not name, until a pull fits on the disk."""

from collections.abc import Callable, Sequence

from puller.engine.disk import free_bytes
from puller.engine.interface import ImageStore
from puller.errors import EngineError, PullerError
from puller.failure import Failure
from puller.image.reference import ImageReference
from puller.model import PullRequest
from puller.plan.disk_check import EngineDiskCheck
from puller.prune.remove import REMOVED, find_candidates, remove, update_record
from puller.text import clean


class PruningDiskCheck:
    """A disk check (`puller.plan.disk_check.Room`) that removes images before it refuses a pull."""

    def __init__(
        self,
        check: EngineDiskCheck,
        store: ImageStore,
        listed: Sequence[ImageReference],
        tell: Callable[[str], None],
    ) -> None:
        """Images that `listed` names stay; `tell` gets a line for each image that was removed or could not be."""
        self._check = check
        self._store = store
        self._listed = listed
        self._tell = tell

    def wide(self, images: int) -> bool:
        return self._check.wide(images)

    def short(self, requests: Sequence[PullRequest]) -> Failure | None:
        """Remove images and check again, until the pull fits or nothing is left to remove."""
        why = self._check.short(requests)
        while why and self._check.shortage and self._prune(self._check.shortage.needed):
            why = self._check.short(requests)
        return why

    def _prune(self, needed: int) -> bool:
        def enough() -> bool:
            return (free_bytes(self._store.facts())[0] or 0) >= needed

        removed = 0
        try:
            plan = find_candidates(self._store, self._listed).plan
            for removal in remove([each for each in plan.removable if each.whole], self._store, enough):
                removed += removal.action in REMOVED
                self._tell(f"{removal}, to make room")
            if removed:
                update_record(self._store)
        except (EngineError, PullerError) as error:
            self._tell(f"no more disk space could be freed: {clean(str(error))}")
        except Exception as error:  # noqa: BLE001 - as in `EngineDiskCheck`: the pull is refused, and the run ends cleanly
            self._tell(f"no more disk space could be freed: {type(error).__name__}: {clean(str(error))}")
        return bool(removed)
