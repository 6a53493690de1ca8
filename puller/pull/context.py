"""What all pulls of a run share: the context, the disk check and the wait for a lost engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from puller.cancellation import Cancellation
from puller.engine.disk import DiskShortage, has_ample_space
from puller.engine.interface import Engine, ImageStore
from puller.engine.model import LocalImages
from puller.errors import CancelledError, FailureKind
from puller.events import ENGINE, Observer, Paused
from puller.failure import Failure, failure
from puller.model import PullRequest
from puller.pull.mirrors import Mirrors
from puller.registry.client import RegistryClient
from puller.registry.pools import RegistryPools
from puller.registry.resolver import Resolver
from puller.settings import Settings

_THROTTLE = 5  # retry delays to wait for a registry that sets a rate limit without an end
_INTERVAL = 0.25  # seconds between two checks whether a lost engine answers
MakeRoom = Callable[[DiskShortage], bool]
"""Removes images when the disk is too small; returns whether any was removed."""


@dataclass(eq=False, slots=True)
class EngineRecovery:
    """Waits up to `patience` seconds for a lost engine, counted from the first check that it did not answer.

    All pulls that notice share one wait.
    """

    alive: Callable[[], bool]  # whether the engine answers
    patience: float
    on_missing: Callable[[], None]  # called once for each outage
    _lock: Lock = field(default_factory=Lock, init=False)
    _missed_at: float | None = field(default=None, init=False)

    def missing(self) -> bool:
        """Check whether the engine does not answer."""
        alive = self.alive()
        with self._lock:
            outage_begins = not alive and self._missed_at is None
            if alive:
                self._missed_at = None
            elif outage_begins:
                self._missed_at = monotonic()
        if outage_begins:
            self.on_missing()
        return not alive

    @property
    def left(self) -> float:
        """Seconds until the wait ends."""
        missed_at = self._missed_at
        return self.patience if missed_at is None else max(0.0, missed_at + self.patience - monotonic())

    def comes_back(self, cancel: Cancellation) -> bool:
        """Wait until the engine answers; False at the end of the wait. Raises CancelledError."""
        while self.missing():
            if not self.left:
                return False
            try:
                cancel.sleep(min(_INTERVAL, self.left))
            except CancelledError:
                if self.left:
                    raise
                return False  # another pull saw the end of the wait first, and cancelled the run
        return True


@dataclass(eq=False, slots=True)
class RunContext:
    """The state that all pulls of a run share."""

    engine: Engine
    registries: Resolver
    settings: Settings
    emit: Observer
    cancel: Cancellation
    began: float = 0.0  # the start of the run, on the monotonic clock
    pools: RegistryPools = field(init=False)
    recovery: EngineRecovery = field(init=False)
    mirrors: Mirrors = field(init=False)

    def __post_init__(self) -> None:
        settings, health = self.settings, self.registries.health
        widths = {name: each.concurrency for name, each in settings.registries.items() if each.concurrency}
        self.pools = RegistryPools(settings.jobs, settings.per_registry, widths=widths, health=health)
        self.mirrors = Mirrors(settings.registries, self.registries)
        outage = failure(FailureKind.DAEMON_UNREACHABLE, "the engine does not answer")
        pause, emit = Paused(ENGINE, outage, settings.engine_wait), self.emit
        self.recovery = EngineRecovery(self.engine.alive, settings.engine_wait, lambda: emit(pause))

    @property
    def left(self) -> float | None:
        """Seconds until the run's deadline, negative after it; None without one."""
        deadline = self.settings.deadline
        return None if deadline is None else self.began + deadline - monotonic()

    def too_long(self, wait: float) -> bool:
        """Whether a wait of so many seconds exceeds `max_wait` or the deadline."""
        left = self.left
        return wait > self.settings.retry.max_wait or (left is not None and wait > left)

    def throttle_wait(self, attempts: int) -> float:
        """Return the seconds to wait for a registry that sets a rate limit without an end."""
        return float(self.settings.retry.delay * _THROTTLE * 2 ** (attempts - 1))


@dataclass(eq=False, slots=True)
class DiskCheck:
    """The disk check of one run, made once, when an image must be pulled. An error in it does not prevent the pull."""

    store: ImageStore
    images: Callable[[], LocalImages]  # returns the engine's images before the run
    registries: RegistryClient
    say: Callable[[str], None]  # gets the reason when images are not checked
    make_room: MakeRoom | None = None
    shortage: DiskShortage | None = field(default=None, init=False)  # why the run was refused
    _lock: Lock = field(default_factory=Lock, init=False)
    _checked: bool = field(default=False, init=False)

    def refusal(self, total: int, absent: Callable[[], Sequence[PullRequest]]) -> Failure | None:
        """Return the reason why none of `total` images can be pulled, or None.

        `absent` waits until all images that must be pulled are known; it is not called if the disk is so large that
        `total` images certainly fit.
        """
        with self._lock:
            if not self._checked:
                self._checked = True
                try:
                    self.shortage = self._check(total, absent)
                except Exception as error:  # noqa: BLE001 - an error in the check must not prevent the pull
                    self.say(f"disk not checked: {error}")
        return failure(FailureKind.DISK_FULL, str(self.shortage)) if self.shortage else None

    def _check(self, total: int, absent: Callable[[], Sequence[PullRequest]]) -> DiskShortage | None:
        """Check, remove images and check again, until the images fit or no more can be removed."""
        if has_ample_space(self.store.facts(), total):
            return None
        from puller.plan import disk, inventory  # noqa: PLC0415 - the disk is ample for most runs

        requests, has = absent(), inventory.EngineInventory(self.store, self.images)
        shortage = disk.check_disk(requests, has, self.registries, self.say)
        while shortage and self.make_room and self.make_room(shortage):
            has = inventory.EngineInventory(self.store)
            shortage = disk.check_disk(requests, has, self.registries, self.say)
        return shortage
