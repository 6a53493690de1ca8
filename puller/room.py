"""The room that an engine has for images, looked at when one must be pulled; on a wide disk no registry is asked."""

from functools import partial
from typing import TYPE_CHECKING

from puller.classify import failure
from puller.disk import is_wide
from puller.errors import EngineError, FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from puller.backends.base import ImageStore
    from puller.classify import Failure
    from puller.config import RegistrySettings
    from puller.costing.room import Shortage
    from puller.holdings import EngineFacts
    from puller.model import PullRequest
    from puller.registry.client import RegistryClient

_CONNECT, _READ = 3.0, 5.0
"""Seconds: less patience than elsewhere, since a pull waits for this."""


class EngineRoom:
    """Fulfils `puller.gate.Room` for an engine's data root."""

    def __init__(
        self,
        store: "ImageStore",
        say: "Callable[[str], None]",
        registries: "Mapping[str, RegistrySettings] | None" = None,
    ) -> None:
        """`say` is told why nothing, or not everything, was checked; `registries` are the settings of single ones."""
        self._store = store
        self._say = say
        self._connect = partial(_connect, registries=registries)
        self.shortage: Shortage | None = None
        """Why the run was refused."""

    def wide(self, images: int) -> bool:
        """Ask the engine where its images are, and look there."""
        try:
            return is_wide(self._store.facts(), images)
        except EngineError:
            return False

    def short(self, requests: "Sequence[PullRequest]") -> "Failure | None":
        """Ask registries how large the images are."""
        from puller.costing.room import check_room  # noqa: PLC0415 - most pulls do not get here
        from puller.costing.stock import Shelf  # noqa: PLC0415

        try:
            self.shortage = check_room(requests, Shelf(self._store), self._connect, self._say)
        except Exception as error:  # noqa: BLE001 - a check that breaks must not cost a pull
            self._say(f"disk not checked: {error}")
            return None
        return failure(FailureKind.DISK_FULL, str(self.shortage)) if self.shortage else None


def _connect(facts: "EngineFacts", registries: "Mapping[str, RegistrySettings] | None" = None) -> "RegistryClient":
    from puller.registry.client import RegistryClient  # noqa: PLC0415 - most need none

    return RegistryClient(insecure=facts.insecure, registries=registries, connect=_CONNECT, read=_READ)
