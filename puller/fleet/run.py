"""A run over the hosts of a fleet: one session a host, wave by wave, and one report.

All sessions share one `RegistryClient`: tokens, health and rate limits are known once for each registry, and a 429 that
one host meets makes all of them wait.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import NamedTuple

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.errors import CancelledError, EngineBusyError, EngineError, FailureKind, ListError, PullerError
from puller.events import ENGINE, Observer, Paused, ignore
from puller.failure import Failure, failure, failure_of
from puller.fleet.connection import open_host
from puller.fleet.engines import SharedEngines
from puller.fleet.hosts import FleetHost
from puller.fleet.model import FleetEvent, FleetOptions, Halted, HostEnded, HostStarted, OpenHost
from puller.fleet.pins import Pins
from puller.fleet.states import is_lost, lost, not_pulled, observing, state_of, why_not_used
from puller.fleet.waves import Waves
from puller.fleet.widths import CHECKS, widths
from puller.model import ENGINE_GONE, PullOutcome, PullRequest, Report, RunDetails, Status
from puller.model.hosts import Fleet, HostResult, HostState
from puller.prune.pull_record import remember_pulls
from puller.pull.session import PullSession
from puller.registry.client import RegistryClient
from puller.registry.pools import SharedLimits
from puller.settings import PrefetchMode, Settings
from puller.system.clock import monotonic
from puller.system.credentials import Keyring
from puller.system.threads import Threads
from puller.text import counted, format_seconds

_GRACE = 5.0
"""Seconds that hosts have to stop after the run is cancelled."""
_AGAIN = 0.5
"""Seconds until a host that another run uses is tried again."""


class _Part(NamedTuple):
    """What came of one host."""

    result: HostResult
    outcomes: tuple[PullOutcome, ...]


class _Begin(NamedTuple):
    """When a host began."""

    wave: int | None
    """None if it did not."""
    at: float
    """On the monotonic clock."""


_Ends = SimpleQueue[_Part | tuple[str, EngineBusyError] | None]
"""What came of hosts, those that another run uses and that are tried again, and None for a cancelled run."""


class FleetRun:
    """Pulls the images of a list into the engines of many hosts.

    A failure of one host, such as a full disk, ends its session and no other.
    """

    def __init__(
        self,
        hosts: Sequence[FleetHost],
        requests: Sequence[PullRequest],
        settings: Settings,
        options: FleetOptions,
        registries: RegistryClient,
        *,
        keyring: Keyring | None = None,
        cancel: Cancellation | None = None,
        connect: OpenHost = open_host,
    ) -> None:
        """Use a registry client, which the caller closes. Nothing is prefetched: that is for one engine."""
        self._hosts, self._requests, self._options = {host.name: host for host in hosts}, requests, options
        prefetch = settings.prefetch._replace(mode=PrefetchMode.NEVER)
        self._settings = settings._replace(prefetch=prefetch)
        self._registries, self._keyring, self._connect = registries, keyring or Keyring(), connect
        self._observer: Observer = ignore
        self._tell: Callable[[FleetEvent], object] = lambda _: None
        self._cancel = Cancellation(cancel)
        self._pins = Pins(requests, settings.policy)
        self.parallel, pulls = widths(self._hosts.values(), requests, settings.jobs, options)
        """How many hosts run at once: fewer than was asked for if they would need too many threads."""
        self._limits = SharedLimits(dict(options.registry_limits), pulls=pulls, checks=CHECKS)
        self._waves = Waves(
            [*self._hosts],
            canaries=options.canaries,
            sizes=options.waves,
            max_fail=options.max_fail,
            strict=options.strict,
        )
        self._engines = SharedEngines()
        self._running: dict[str, _Begin] = {}
        """The hosts that have begun and not ended."""
        self._waiting: dict[str, float] = {}
        """Those of them that another run uses, with when each is tried again; they take no place of the others."""
        self._told: set[str] = set()
        self._began = 0.0

    def observe(self, observer: Observer, hosts: Callable[[FleetEvent], object]) -> None:
        """Call `observer` with the events of all hosts, from many threads, and `hosts` with those about hosts."""
        self._observer, self._tell = observer, hosts

    @property
    def same_engines(self) -> tuple[tuple[str, ...], ...]:
        """The names of hosts that lead to one engine, which the first of them pulled into."""
        return self._engines.shared

    def run(self, rejected: Sequence[PullOutcome] = ()) -> Report:
        """Pull, and report on each host and each of its images; `rejected` outcomes come last."""
        started, self._began = datetime.now(UTC), monotonic()
        self._pins.resolve(self._registries, self._cancel)
        parts = self._run_hosts()
        halted = self._waves.halted
        why = failure(FailureKind.CANCELLED, f"halted: {halted}" if halted else self._cancel.reason)
        ends = [parts.get(name) or self._left_out(host, why) for name, host in self._hosts.items()]
        outcomes = [outcome for part in ends for outcome in part.outcomes]
        fleet = Fleet(tuple(part.result for part in ends), halted, self._options.strict)
        engines = {host.engine for host in fleet.hosts if host.engine}
        reached, number = sum(bool(host.engine) for host in fleet.hosts), counted(len(ends), "host")
        number = number if reached == len(ends) else f"{reached} of {number}"
        engine = f"{number}: {engines.pop()}" if len(engines) == 1 else number
        details = RunDetails(engine=engine, hosts=len(ends))
        seconds = monotonic() - self._began
        return Report(started, seconds, (*outcomes, *rejected), self._cancel.reason, details, fleet)

    def _run_hosts(self) -> dict[str, _Part]:
        """Let hosts begin as the waves allow, until none runs and none will begin."""
        parts: dict[str, _Part] = {}
        ends: _Ends = SimpleQueue()
        threads, waves, running = Threads("host", self.parallel, self.parallel), self._waves, self._running
        with self._cancel.hook(lambda: ends.put(None)):
            while not waves.over:
                if self._cancel.requested:
                    waves.stop()
                while len(running) - len(self._waiting) < self.parallel and (name := self._next()):
                    threads.submit("", self._work, self._hosts[name], running[name], ends)
                if not running:
                    continue
                try:
                    end = ends.get(timeout=self._patience)
                except Empty:
                    if self._cancel.requested:  # a host does not stop: its thread is left alone
                        break
                    if self._left == 0.0:
                        deadline = format_seconds(self._settings.deadline or 0)
                        self._cancel.cancel(f"the deadline of {deadline} has passed")
                    continue
                if isinstance(end, _Part):
                    self._ended(end, parts)
                elif end:
                    self._put_aside(*end)
        threads.close()
        return parts

    def _work(self, host: FleetHost, begin: _Begin, ends: _Ends) -> None:
        try:
            part = self._pull(host, begin)
        except EngineBusyError as error:
            ends.put((host.name, error))
            return
        except Exception as error:  # noqa: BLE001 - a bug of ours fails this host, not the run
            part = self._broken(host, begin, failure_of(error), HostState.FAILED)
        self._engines.ended(host.name)
        ends.put(part)

    def _next(self) -> str | None:
        """Return a host that may take a place now: a new one, or else one that another run used for a while."""
        if name := self._waves.take():
            self._running[name] = _Begin(self._waves.number, monotonic())
            self._tell(HostStarted(self._hosts[name], self._waves.number, self._waves.last))
            return name
        name, again = next(iter(self._waiting.items()), (None, 0.0))
        if name and (again <= monotonic() or self._cancel.requested):
            del self._waiting[name]
            return name
        return None

    def _put_aside(self, host: str, error: EngineBusyError) -> None:
        """Let other hosts have the place of one that another run uses; the first time, tell for how long."""
        self._waiting[host] = monotonic() + min(_AGAIN, error.left)
        if host not in self._told:
            self._told.add(host)
            self._observer(Paused(ENGINE, why_not_used(error), error.left, host))

    @property
    def _patience(self) -> float | None:
        """Seconds until there is something to do, whatever hosts do; None if that is never."""
        if self._cancel.requested:
            return _GRACE
        times = [*([_AGAIN] if self._waiting else []), *([self._left] if self._left is not None else [])]
        return min(times, default=None)

    def _ended(self, part: _Part, parts: dict[str, _Part]) -> None:
        name, halted = part.result.name, self._waves.halted
        parts[name] = part
        self._running.pop(name, None)
        self._waves.ended(name, part.result.state)
        self._tell(HostEnded(*part))
        if self._waves.halted != halted:
            self._tell(Halted(self._waves.halted, len(self._hosts) - len(parts) - len(self._running)))

    def _left_out(self, host: FleetHost, why: Failure) -> _Part:
        """Return the part of a host that did not begin, or did not stop."""
        begin = self._running.get(host.name)
        if begin:
            return self._broken(host, begin, why, HostState.CANCELLED)
        return self._broken(host, _Begin(None, 0.0), why, HostState.NOT_STARTED)

    @property
    def _left(self) -> float | None:
        """Seconds until the deadline of the run; None without one."""
        deadline = self._settings.deadline
        return None if deadline is None else max(0.0, self._began + deadline - monotonic())

    def _pull(self, host: FleetHost, begin: _Begin) -> _Part:
        cancel, jobs = Cancellation(self._cancel), host.jobs or self._settings.jobs
        left = self._left
        # The run cancels all sessions at its deadline; this one only lets no pull wait for a rate limit beyond it.
        settings = self._settings._replace(jobs=jobs, deadline=None if left is None else left + 1.0)
        part: _Part | None = None
        try:
            cancel.check()
            with (
                self._connect(host, cancel=cancel, connections=jobs, keyring=self._keyring) as engine,
                self._alone(host, engine, cancel),
                PullSession(
                    engine, self._registries, settings, observing(engine, self._pins.observing(self._observer)),
                    host=host.name, cancel=cancel, limits=self._limits,
                ) as session,
            ):  # fmt: skip
                part = self._part(host, begin, engine, self._pull_in(session, engine, begin.at))
        except CancelledError:
            why = failure(FailureKind.CANCELLED, cancel.reason)
            return part or self._broken(host, begin, why, HostState.CANCELLED)
        except ListError as error:  # this engine cannot keep what the list wants
            return part or self._broken(
                host, begin, failure(FailureKind.NO_MATCHING_PLATFORM, str(error)), HostState.FAILED
            )
        except PullerError as error:
            if isinstance(error, EngineBusyError) and error.left:
                raise
            state = HostState.FAILED if isinstance(error, EngineBusyError) else HostState.UNREACHABLE
            return part or self._broken(host, begin, why_not_used(error), state)
        return part

    def _pull_in(self, session: PullSession, engine: Engine, began: float) -> tuple[PullOutcome, ...]:
        """Pull into one engine; an image that came with another digest than on other hosts is pulled once more."""
        before, offset = session.images_before, began - self._began
        report = session.pull(self._pins.requests())
        outcomes = [*report.outcomes]
        if others := () if report.stopped else self._pins.others(outcomes):
            again = session.pull([request for _, request in others])
            for (place, _), outcome in zip(others, again.outcomes, strict=True):
                outcomes[place] = outcome
        with suppress(Exception):  # a pull must not fail because its record for `puller prune` fails
            remember_pulls(report._replace(outcomes=tuple(outcomes)), engine.store, before)
        both = zip(self._requests, outcomes, strict=True)
        return tuple(
            outcome._replace(reference=request.reference.canonical, began=outcome.began + offset)
            for request, outcome in both
        )

    @contextmanager
    def _alone(self, host: FleetHost, engine: Engine, cancel: Cancellation) -> Iterator[None]:
        """Use an engine after other hosts that lead to it, if there are any; raises CancelledError."""
        with suppress(EngineError):  # an engine that does not describe itself
            self._engines.wait(engine.store.facts(), host.name, cancel)
        yield

    def _part(self, host: FleetHost, begin: _Begin, engine: Engine, outcomes: tuple[PullOutcome, ...]) -> _Part:
        state, why = state_of(outcomes)
        gone = next((each.failure for each in outcomes if each.failure and each.failure.kind in ENGINE_GONE), None)
        if gone:
            why = lost(engine, gone)
            stopped = self._cancel.requested
            outcomes = tuple(not_pulled(each, why) if is_lost(each, stopped=stopped) else each for each in outcomes)
        return _Part(self._result(host, state, begin, why)._replace(engine=engine.engine), outcomes)

    def _broken(self, host: FleetHost, begin: _Begin, why: Failure, state: HostState) -> _Part:
        """Return the part of a host that pulled no image."""
        status = Status.FAILED if state is HostState.FAILED else Status.CANCELLED
        outcomes = tuple(PullOutcome.of(each, status, failure=why)._replace(host=host.name) for each in self._requests)
        return _Part(self._result(host, state, begin, why), outcomes)

    def _result(self, host: FleetHost, state: HostState, begin: _Begin, why: Failure | None) -> HostResult:
        times = (0.0, 0.0) if begin.wave is None else (begin.at - self._began, monotonic() - begin.at)
        return HostResult(host.name, host.url, state, "", begin.wave, *times, why, host.jobs)
