"""The disk check of a run, made once and as late as can be: when an image turns out to need a pull."""

from collections.abc import Callable, Sequence
from threading import Lock

from puller.engine.disk import has_ample_space
from puller.engine.interface import ImageStore
from puller.errors import EngineError, FailureKind
from puller.failure import Failure, failure
from puller.model import PullRequest
from puller.plan.disk import DiskShortage, check_room
from puller.plan.inventory import EngineInventory
from puller.registry.client import RegistryClient

MakeRoom = Callable[[DiskShortage], bool]
"""Removes images where what must be pulled does not fit; whether any was removed."""


class DiskCheck:
    """Says whether what a run has to pull fits on the engine's disk. A check that breaks must not cost a pull."""

    def __init__(
        self,
        store: ImageStore,
        say: Callable[[str], None],
        registries: RegistryClient,
        make_room: MakeRoom | None = None,
    ) -> None:
        """`say` is told why nothing, or not everything, was checked; `registries` are asked how large images are."""
        self._store = store
        self._say = say
        self._registries = registries
        self._make_room = make_room
        self._lock = Lock()
        self._checked = False
        self._refusal: Failure | None = None
        self.shortage: DiskShortage | None = None
        """Why the run was refused."""

    def refusal(self, total: int, absent: Callable[[], Sequence[PullRequest]]) -> Failure | None:
        """Say why none of `total` images is pulled; None when they may be.

        `absent` waits until all that must be pulled is known; it is called only where the disk is not so large that
        `total` images certainly fit.
        """
        with self._lock:
            if not self._checked:
                self._checked = True
                if not self._certainly_fits(total):
                    self.shortage = self._short(absent())
                    self._refusal = failure(FailureKind.DISK_FULL, str(self.shortage)) if self.shortage else None
            return self._refusal

    def _certainly_fits(self, images: int) -> bool:
        try:
            return has_ample_space(self._store.facts(), images)
        except EngineError:
            return False

    def _short(self, requests: Sequence[PullRequest]) -> DiskShortage | None:
        """Ask registries how large the images are; make room and ask again, until they fit or no more can be made."""
        shortage = self._ask(requests)
        while shortage and self._make_room and self._make_room(shortage):
            shortage = self._ask(requests)
        return shortage

    def _ask(self, requests: Sequence[PullRequest]) -> DiskShortage | None:
        try:
            return check_room(requests, EngineInventory(self._store), self._registries, self._say)
        except Exception as error:  # noqa: BLE001 - a check that breaks must not cost a pull
            self._say(f"disk not checked: {error}")
            return None
