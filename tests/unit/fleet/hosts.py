"""A fleet of engines that are made up, and registries that answer from a table."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from puller.cancellation import Cancellation
from puller.errors import EngineBusyError, EngineUnreachableError, RegistryError
from puller.events import ignore
from puller.fleet.hosts import FleetHost
from puller.fleet.model import FleetEvent, FleetOptions
from puller.fleet.run import FleetRun
from puller.image.reference import ImageReference
from puller.model import PullRequest, Report
from puller.registry.client import RegistryClient
from puller.registry.responses import Described
from puller.settings import RetryPolicy, Settings
from tests.lab.fakes import FakeBackend
from tests.lab.images import OCI
from tests.lab.samples import DIGEST, request

QUICK = Settings(retry=RetryPolicy(0, 0.0, second_pass=False), disk_check=False)


def hosts(number: int) -> tuple[FleetHost, ...]:
    """Name hosts `h0`, `h1`, and so on."""
    return tuple(FleetHost(f"h{at}", f"ssh://h{at}") for at in range(number))


class TableRegistries(RegistryClient):
    """A client whose registries resolve tags from a table, and know no other."""

    def __init__(self, digests: Mapping[str, str] | None = None, otherwise: str | None = DIGEST) -> None:
        super().__init__()
        self.digests, self.otherwise = dict(digests or {}), otherwise
        self.asked: list[str] = []

    def with_limits(self, **_: Any) -> Self:
        """Be the client with any limits."""
        return self

    def apart(self) -> Self:
        """Be the client for all requests."""
        return self

    def close(self) -> None:
        """Stay open."""

    def head(self, reference: ImageReference) -> Described:
        """Answer from the table."""
        self.asked.append(reference.text)
        digest = self.digests.get(reference.text, self.otherwise)
        if digest is None:
            raise RegistryError(f"{reference.registry}: no route to host", unanswered=True)
        return Described(digest, OCI.index, 500, None)


class FakeFleet:
    """Hosts with engines that do what their scripts say; a host without an engine cannot be reached."""

    def __init__(
        self, engines: Mapping[str, FakeBackend] | None = None, down: Sequence[str] = (), busy: Sequence[str] = ()
    ) -> None:
        self.engines, self.down, self.busy = dict(engines or {}), down, busy
        self.opened: list[str] = []
        """The hosts that puller tried to reach, in order."""
        self.open = self.most_open = 0
        self.threads = 0
        """The most threads of this process when a host was opened or closed."""
        self._lock = threading.Lock()

    @contextmanager
    def connect(self, host: FleetHost, *, cancel: Cancellation, connections: int, keyring: object) -> Iterator[Any]:
        """Open the engine of a host."""
        with self._lock:
            self.opened.append(host.name)
            engine = self.engines.setdefault(host.name, FakeBackend())
        if host.name in self.busy:
            raise EngineBusyError("another run uses the host", 60.0)
        if host.name in self.down:
            raise EngineUnreachableError(f"{host.name}: connection timed out")
        self._count(1)
        try:
            yield engine
        finally:
            self._count(-1)
            engine.close()

    def _count(self, change: int) -> None:
        with self._lock:
            self.open += change
            self.most_open = max(self.most_open, self.open)
            self.threads = max(self.threads, threading.active_count())


def pull(
    fleet: FakeFleet,
    number: int = 4,
    images: Sequence[str] = ("a.io/x:1", "b.io/y:1"),
    settings: Settings = QUICK,
    registries: RegistryClient | None = None,
    told: list[FleetEvent] | None = None,
    requests: Sequence[PullRequest] = (),
    **options: Any,
) -> Report:
    """Pull images into so many hosts."""
    observer = options.pop("observer", ignore)
    run = fleet_run(fleet, number, images, settings, registries, requests, **options)
    run.observe(observer, (told if told is not None else []).append)
    return run.run()


def fleet_run(
    fleet: FakeFleet,
    number: int = 4,
    images: Sequence[str] = ("a.io/x:1", "b.io/y:1"),
    settings: Settings = QUICK,
    registries: RegistryClient | None = None,
    requests: Sequence[PullRequest] = (),
    **options: Any,
) -> FleetRun:
    """Return a run over so many hosts that has not begun."""
    cancel = options.pop("cancel", None)
    return FleetRun(
        hosts(number),
        requests or [request(text) for text in images],
        settings,
        FleetOptions(**options),
        registries or TableRegistries(),
        cancel=cancel,
        connect=fleet.connect,
    )
