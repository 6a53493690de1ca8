"""The disk check of a run: made once, when an image must be pulled."""

from collections.abc import Callable, Sequence
from threading import Lock

from puller.engine.disk import DiskShortage, has_ample_space
from puller.engine.interface import ImageStore
from puller.errors import EngineError, FailureKind
from puller.failure import Failure, failure
from puller.model import PullRequest
from puller.registry.client import RegistryClient

MakeRoom = Callable[[DiskShortage], bool]
"""Removes images when the disk is too small; returns whether any was removed."""


class DiskCheck:
    """The disk check of one run. An error in it does not prevent the pull."""

    def __init__(
        self,
        store: ImageStore,
        say: Callable[[str], None],
        registries: RegistryClient,
        make_room: MakeRoom | None = None,
    ) -> None:
        """`say` gets the reason when images are not checked; `registries` are asked for the sizes of images."""
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
        """Return the reason why none of `total` images can be pulled, or None.

        `absent` waits until all images that must be pulled are known; it is not called if the disk is so large that
        `total` images certainly fit.
        """
        with self._lock:
            if not self._checked:
                self._checked = True
                if not self._certainly_fits(total):
                    self.shortage = self._shortage(absent())
                    self._refusal = failure(FailureKind.DISK_FULL, str(self.shortage)) if self.shortage else None
            return self._refusal

    def _certainly_fits(self, images: int) -> bool:
        try:
            return has_ample_space(self._store.facts(), images)
        except EngineError:
            return False

    def _shortage(self, requests: Sequence[PullRequest]) -> DiskShortage | None:
        """Check, remove images and check again, until the images fit or no more can be removed."""
        shortage = self._check(requests)
        while shortage and self._make_room and self._make_room(shortage):
            shortage = self._check(requests)
        return shortage

    def _check(self, requests: Sequence[PullRequest]) -> DiskShortage | None:
        from puller.plan import disk, inventory  # noqa: PLC0415 - the disk is ample for most runs

        try:
            return disk.check_disk(requests, inventory.EngineInventory(self._store), self._registries, self._say)
        except Exception as error:  # noqa: BLE001 - an error in the check must not prevent the pull
            self._say(f"disk not checked: {error}")
            return None
