"""Room for a pull that would not fit, made of what puller brought and the run does not name: no more than it takes."""

from collections.abc import Callable, Sequence

from puller.engine.disk import free_bytes
from puller.engine.interface import ImageStore
from puller.errors import EngineError, PullerError
from puller.failure import Failure
from puller.image.reference import ImageReference
from puller.model import PullRequest
from puller.plan.disk_check import EngineDiskCheck
from puller.prune.remove import REMOVED, forget, look, remove
from puller.text import clean


class RoomMaker:
    """Fulfils `puller.plan.disk_check.Room` like the room that it is given, and prunes before it refuses."""

    def __init__(
        self,
        room: EngineDiskCheck,
        store: ImageStore,
        wanted: Sequence[ImageReference],
        tell: Callable[[str], None],
    ) -> None:
        """`wanted` is what stays, `tell` gets a line for each image that went or could not."""
        self._room = room
        self._store = store
        self._wanted = wanted
        self._tell = tell

    def wide(self, images: int) -> bool:
        """Look at the disk."""
        return self._room.wide(images)

    def short(self, requests: Sequence[PullRequest]) -> Failure | None:
        """Remove and look again, until it fits or nothing is left to remove."""
        why = self._room.short(requests)
        while why and self._room.shortage and self._made(self._room.shortage.needed):
            why = self._room.short(requests)
        return why

    def _made(self, needed: int) -> bool:
        def enough() -> bool:
            return (free_bytes(self._store.facts())[0] or 0) >= needed

        removed = 0
        try:
            plan = look(self._store, self._wanted).plan
            for step in remove([each for each in plan.going if each.whole], self._store, enough):
                removed += step.action in REMOVED
                self._tell(f"{step}, to make room")
            if removed:
                forget(self._store)
        except (EngineError, PullerError) as error:
            self._tell(f"no more room could be made: {clean(str(error))}")
        except Exception as error:  # noqa: BLE001 - as in `EngineRoom`: the refusal stands, and the run ends in good order
            self._tell(f"no more room could be made: {type(error).__name__}: {clean(str(error))}")
        return bool(removed)
