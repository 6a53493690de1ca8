"""The disk check of a run, beside its first pulls.

Pulls begin at once if `_RESERVE` bytes are free, and otherwise wait for the check, up to `_PATIENCE` seconds. If a
measurement shows less than `_KEPT` of what was free at first, the pulls in flight are broken off, and wait for the end
of the check. So a run that is refused leaves about half of the disk's free space to the engine, or more.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Condition, Event

from puller.cancellation import Cancellation
from puller.engine.disk import DiskShortage, free_bytes, has_ample_space
from puller.engine.interface import Engine, EngineWrapper, ImageStore, ProgressSink
from puller.engine.model import LocalImages
from puller.errors import CancelledError, FailureKind
from puller.events import Progress
from puller.failure import Failure, failure
from puller.model import EngineResult, PullRequest
from puller.plan.inventory import EngineInventory
from puller.registry.client import RegistryClient
from puller.settings import Timeouts
from puller.system.clock import monotonic
from puller.system.threads import start
from puller.text import clean

_RESERVE = 4 << 30
"""Free bytes with which pulls need not wait. A check takes about a second, in which 1 Gbit/s bring 125 MB: with what
they unpack to, that is a fifth of what pulls may use meanwhile."""
_KEPT = 0.5
"""The share of the bytes free at first that pulls leave free as long as the check has not ended."""
_TICK = 0.1
"""Seconds between two measurements of the free bytes; an engine writes less than 0.2 GB meanwhile."""
_PATIENCE = 2.0
"""Seconds that pulls wait for the check on a disk without reserve."""
_HEAD_START = 2.0
"""Seconds that the check waits for the engine's first message about a pull: both need this process."""
_STOP = 5.0
"""Seconds in which pulls in flight should end before images are removed."""
_NO_ROOM = "Free disk space (`docker system df` shows what uses it), or use --no-disk-check."
"""The advice if `MakeRoom` found too little to remove."""
MakeRoom = Callable[[DiskShortage], bool]
"""Removes images when the disk is too small; returns whether any was removed."""


class DiskCheck:
    """Checks once, when the first image must be pulled, whether all absent images fit, and cancels the run if not.

    An error in it does not prevent the pull.
    """

    def __init__(
        self,
        store: ImageStore,
        images: Callable[[], LocalImages],
        registries: RegistryClient,
        say: Callable[[str], None],
        make_room: MakeRoom | None = None,
    ) -> None:
        """`images` returns the engine's images before the run; `say` gets the reason when images are not checked."""
        self._inventory = EngineInventory(store, images)
        self._store, self._registries, self._say, self._make_room = store, registries, say, make_room
        self.shortage: DiskShortage | None = None
        """Why the run was refused."""
        self._changed = Condition()
        """Protects what follows."""
        self._ends: float | None = None
        """When pulls no longer wait for the check."""
        self._held = False
        """Whether pulls wait for the end of the check, however long it takes."""
        self._in_flight: set[Cancellation] = set()
        """The pulls that began before the end of the check."""
        self._admitted, self._moving, self._over = Event(), Event(), Event()
        """Set when pulls may begin, when the engine has reported progress, and when the check has ended."""

    def admit(self, requests: Sequence[PullRequest], cancel: Cancellation) -> None:
        """Wait until a pull may begin, or the run is cancelled; the first call begins the check."""
        with self._changed:
            first, self._ends = self._ends is None, self._ends or monotonic() + _PATIENCE
        if first and not start(lambda: self._check(requests, cancel), "disk"):
            self._check(requests, cancel)
        self._wait(cancel)

    @property
    def why(self) -> Failure | None:
        """Why the run was refused; None if it was not."""
        if self.shortage is None:
            return None
        why = failure(FailureKind.DISK_TOO_SMALL, str(self.shortage))
        return why._replace(advice=_NO_ROOM) if self._make_room else why

    def watching(self, engine: Engine) -> Engine:
        """Return the engine with pulls that can be broken off, and made again, as long as the check has not ended."""
        return _WatchedEngine(engine, self)

    @contextmanager
    def entered(self, cancel: Cancellation) -> Iterator[Cancellation]:
        """Wait until a pull may begin, and yield what breaks it off. Raises CancelledError."""
        own = Cancellation(cancel)
        while True:
            self._wait(cancel)
            cancel.check()
            with self._changed:
                if not self._held or self._over.is_set():
                    self._in_flight.add(own)
                    break
        try:
            yield own
        finally:
            with self._changed:
                self._in_flight.discard(own)
                self._changed.notify_all()

    def over(self, seconds: float = 0.0) -> bool:
        """Wait up to `seconds` for the end of the check; return whether it has ended."""
        return self._over.wait(seconds)

    def moved(self) -> None:
        """Note that the engine works on a pull."""
        self._moving.set()

    def _wait(self, cancel: Cancellation) -> None:
        with cancel.hook(self._over.set), cancel.hook(self._admitted.set):
            self._admitted.wait(max(0.0, (self._ends or 0.0) - monotonic()))
            if self._held:
                self._over.wait()

    def _check(self, requests: Sequence[PullRequest], cancel: Cancellation) -> None:
        try:
            free = (disk := self._inventory.disk(0)).free
            if free is None:
                self._say(f"disk not checked: {disk.note}")
                return
            if has_ample_space(self._store.facts(), len(requests)):
                return
            start(lambda: self._watch(free), "disk")
            if free >= _RESERVE:
                self._admitted.set()
                self._moving.wait(_HEAD_START)
            shortage = self._find_shortage(requests)
            if shortage and not cancel.requested:
                self.shortage = shortage
                cancel.cancel(clean(str(shortage)))
        except Exception as error:  # noqa: BLE001 - an error in the check must not prevent the pull
            self._say(f"disk not checked: {error}")
        finally:
            self._over.set()
            self._admitted.set()

    def _find_shortage(self, requests: Sequence[PullRequest]) -> DiskShortage | None:
        """Check, remove images and check again, until the images fit or no more can be removed."""
        from puller.plan.disk import check_disk  # noqa: PLC0415 - the disk is ample for most runs

        inventory = self._inventory
        shortage = check_disk(requests, inventory, self._registries, self._say)
        if shortage and self._make_room and self._hold(_STOP):  # what had begun has changed the numbers
            shortage = check_disk(requests, EngineInventory(self._store), self._registries, self._say)
        while shortage and self._make_room and self._make_room(shortage):
            shortage = check_disk(requests, EngineInventory(self._store), self._registries, self._say)
        return shortage

    def _watch(self, free: int) -> None:
        while not self._over.wait(_TICK):
            now, _ = free_bytes(self._store.facts())
            if now is not None and now < free * _KEPT:
                self._hold()
                return

    def _hold(self, seconds: float = 0.0) -> bool:
        """Break off the pulls in flight, and wait up to `seconds` for their end; return whether there were any."""
        with self._changed:
            self._held, in_flight = True, [*self._in_flight]
        for own in in_flight:
            own.cancel("it waits for the disk check")
        with self._changed:
            self._changed.wait_for(lambda: not self._in_flight, seconds)
        return bool(in_flight)


class _WatchedEngine(EngineWrapper):
    """Pulls with an engine, and again if the disk check broke the pull off."""

    def __init__(self, engine: Engine, check: DiskCheck) -> None:
        super().__init__(engine)
        self._check = check

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """See `Engine.pull`."""

        def watched(event: Progress) -> None:
            self._check.moved()
            progress(event)

        while not self._check.over():
            began = monotonic()
            with self._check.entered(cancel) as own:
                try:
                    return self._engine.pull(request, cancel=own, clocks=clocks, progress=watched)
                except CancelledError:
                    cancel.check()
                    clocks = clocks._replace(spent=clocks.spent + monotonic() - began)
        return self._engine.pull(request, cancel=cancel, clocks=clocks, progress=progress)
