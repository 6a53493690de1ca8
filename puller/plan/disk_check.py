"""The look at the disk, once in a run and as late as can be: when an image turns out to need a pull."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Protocol

from puller.cancellation import Cancellation
from puller.engine.disk import has_ample_space
from puller.engine.interface import ImageStore
from puller.engine.model import EngineInfo
from puller.errors import EngineError, FailureKind
from puller.failure import Failure, failure
from puller.model import PullRequest
from puller.plan.disk import DiskShortage, check_room
from puller.plan.inventory import EngineInventory
from puller.registry.client import RegistryClient
from puller.settings import RegistrySettings


class DiskCheck(Protocol):
    """Where the engine keeps its images. Never raises: a check that breaks must not cost a pull."""

    def wide(self, images: int) -> bool:
        """Say whether so many images fit in all likelihood; this costs next to nothing."""

    def short(self, requests: Sequence[PullRequest]) -> Failure | None:
        """Say why these images do not fit; None where they do, or nobody knows."""


class _NoDiskCheck:
    def wide(self, images: int) -> bool:  # noqa: ARG002
        return True

    def short(self, requests: Sequence[PullRequest]) -> Failure | None:  # noqa: ARG002
        return None


NO_DISK_CHECK: DiskCheck = _NoDiskCheck()
"""For who does not want to know."""


class DiskGate:
    """Ends the run before its first pull where what it has to pull does not fit."""

    def __init__(self, room: DiskCheck, cancel: Cancellation) -> None:
        self._room = room
        self._cancel = cancel
        self._lock = Lock()
        self._looked = False
        self._why: Failure | None = None

    def refusal(self, total: int, absent: Callable[[], Sequence[PullRequest]]) -> Failure | None:
        """Say why no image is pulled; None when they may be. `absent` waits until all that must be pulled is known."""
        with self._lock:
            if not self._looked:
                self._looked = True
                self._why = None if self._room.wide(total) else self._room.short(absent())
                if self._why:
                    self._cancel.cancel(self._why.message)
            return self._why


_CONNECT, _READ = 3.0, 5.0
"""Seconds: less patience than elsewhere, since a pull waits for this."""


class EngineDiskCheck:
    """Fulfils `puller.plan.disk_check.Room` for an engine's data root."""

    def __init__(
        self,
        store: ImageStore,
        say: Callable[[str], None],
        registries: Mapping[str, RegistrySettings] | None = None,
    ) -> None:
        """`say` is told why nothing, or not everything, was checked; `registries` are the settings of single ones."""
        self._store = store
        self._say = say
        self._connect = partial(_connect, registries=registries)
        self.shortage: DiskShortage | None = None
        """Why the run was refused."""

    def wide(self, images: int) -> bool:
        """Ask the engine where its images are, and look there."""
        try:
            return has_ample_space(self._store.facts(), images)
        except EngineError:
            return False

    def short(self, requests: Sequence[PullRequest]) -> Failure | None:
        """Ask registries how large the images are."""
        try:
            self.shortage = check_room(requests, EngineInventory(self._store), self._connect, self._say)
        except Exception as error:  # noqa: BLE001 - a check that breaks must not cost a pull
            self._say(f"disk not checked: {error}")
            return None
        return failure(FailureKind.DISK_FULL, str(self.shortage)) if self.shortage else None


def _connect(facts: EngineInfo, registries: Mapping[str, RegistrySettings] | None = None) -> RegistryClient:

    return RegistryClient(insecure=facts.insecure, registries=registries, connect=_CONNECT, read=_READ)
