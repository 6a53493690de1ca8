"""What all pulls of a run share: the context, and the waits for a lost engine or network."""

from collections.abc import Callable
from concurrent.futures import as_completed
from contextlib import suppress
from threading import Lock

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.engine.model import LocalImages
from puller.errors import CancelledError, EngineError, FailureKind
from puller.events import ENGINE, NETWORK, Observer, Paused
from puller.failure import Failure, failure
from puller.plan.inventory import EngineInventory
from puller.pull.mirrors import Mirrors
from puller.pull.sizes import ImageSizes
from puller.pull.transfers import Transfers
from puller.registry.health import CONNECTION_FAILURES, RegistryHealth
from puller.registry.pools import RegistryPools, SharedLimits
from puller.registry.resolver import Resolver
from puller.settings import Settings
from puller.system.clock import monotonic
from puller.system.threads import Threads, affordable

_THROTTLE = 5  # retry delays to wait for a registry that sets a rate limit without an end
_INTERVAL = 0.25  # seconds between two checks whether a lost engine answers
_PROBE_VALID = 0.5  # seconds for which the answer counts for all pulls
_PROBES = 8  # registries that are asked at once whether the network works
_REFUSALS = {FailureKind.CONNECTION_REFUSED, FailureKind.CONNECTION_RESET, FailureKind.UNEXPECTED_EOF}
"""Failures of the connection that are answers of a server."""


class Recovery:
    """Waits up to `patience` seconds for a lost engine or network, from the first check that it did not answer.

    All pulls that notice share one wait.
    """

    def __init__(self, alive: Callable[[], bool], patience: float, on_missing: Callable[[], None]) -> None:
        self.alive, self.patience = alive, patience  # `alive` tells whether it answers
        self.on_missing = on_missing  # called once for each outage
        self._lock = Lock()
        self._missed_at: float | None = None

    def missing(self) -> bool:
        """Check whether it does not answer."""
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
        """Wait until it answers; False at the end of the wait. Raises CancelledError."""
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


class Network:
    """Judges whether this host's network works: by whether any registry answers, once pulls from all of them fail."""

    def __init__(self, health: Callable[[str], RegistryHealth]) -> None:
        self._health = health
        self._failing: dict[str, bool] = {}  # by registry, whether its last attempt failed to connect
        self._lock = Lock()
        self._checked, self._answers = float("-inf"), True

    def suspect(self, registry: str, why: Failure | None) -> bool:
        """Record the result of an attempt; return whether the network may be the reason of a failure."""
        # A name that does not exist is an answer of the network; a refusal is one, unless all registries refuse.
        kind = why.kind if why and "no such host" not in why.message else None
        self._failing[registry] = kind in CONNECTION_FAILURES
        last = [*self._failing.values()]
        return all(last) and (len(last) > 1 or kind not in _REFUSALS)

    def alive(self) -> bool:
        """Whether any of the registries answers now."""
        with self._lock:
            if monotonic() - self._checked > _PROBE_VALID:
                threads, names = Threads("probe", 1, _PROBES), [*self._failing][-_PROBES:]
                probes = [threads.submit(name, self._health(name).breaker.probe) for name in names]
                self._answers = any(probe.result() for probe in as_completed(probes))
                threads.close()
                self._checked = monotonic()
            return self._answers


class RunContext:
    """The state that all pulls of a run share.

    `engine` may be replaced, before the first pull, by one that does more with the same images.
    """

    def __init__(
        self,
        engine: Engine,
        registries: Resolver,
        settings: Settings,
        emit: Observer,
        cancel: Cancellation,
        began: float = 0.0,
        images: Callable[[], LocalImages] = LocalImages,
        limits: SharedLimits | None = None,
    ) -> None:
        self.engine, self.registries, self.settings = engine, registries, settings
        self.emit, self.cancel = emit, cancel
        self.began = began  # the start of the run, on the monotonic clock
        self.images = images  # the engine's images before the run
        self.transfers = Transfers()
        health = registries.health
        widths = {name: each.concurrency for name, each in settings.registries.items() if each.concurrency}
        self.pools = RegistryPools(
            affordable(settings.jobs), settings.per_registry, widths=widths, health=health, limits=limits
        )
        self.mirrors = Mirrors(settings.registries, self.registries)
        inventory = EngineInventory(self.engine.store, self.images)
        self.sizes = ImageSizes(self.registries, inventory, self.transfers, self.emit)
        self._network = Network(self.pools.health)
        lost = failure(FailureKind.DAEMON_UNREACHABLE, "the engine does not answer")
        cut = failure(FailureKind.NETWORK_UNREACHABLE, "no registry answers")
        self.recovery = self._recovery(self.engine.alive, Paused(ENGINE, lost, settings.engine_wait))
        self.network = self._recovery(self._network.alive, Paused(NETWORK, cut, settings.network_wait))

    def _recovery(self, alive: Callable[[], bool], pause: Paused) -> Recovery:
        return Recovery(alive, pause.seconds, lambda: self.emit(pause))

    def network_came_back(self, registry: str, why: Failure | None) -> bool:
        """Record the result of an attempt, and wait if this host's network is down; return whether it came back.

        Only for an engine on this host. Raises CancelledError.
        """
        if not self._network.suspect(registry, why):
            return False
        with suppress(EngineError):
            local = self.engine.store.facts().local
            return local and self.network.missing() and self.network.comes_back(self.cancel)
        return False

    @property
    def left(self) -> float | None:
        """Seconds until the run's deadline, negative after it; None without one."""
        deadline = self.settings.deadline
        return None if deadline is None else self.began + deadline - monotonic()

    def too_long(self, wait: float) -> bool:
        """Whether a wait in seconds exceeds `max_wait` or the deadline."""
        left = self.left
        return wait > self.settings.retry.max_wait or (left is not None and wait > left)

    def throttle_wait(self, attempts: int) -> float:
        """Return the seconds to wait for a registry that sets a rate limit without an end."""
        return float(self.settings.retry.delay * _THROTTLE * 2 ** (attempts - 1))
