"""The state of a run over many hosts, for its lines and its live view."""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from puller.cli.progress.state import RateMeter
from puller.events import HOST_PAUSES, Event, Finished, Paused, Progress, RunStarted, Started
from puller.fleet.model import FleetEvent, Halted, HostEnded, HostStarted
from puller.model import PullRequest, Status
from puller.model.hosts import HostState
from puller.system.clock import monotonic
from puller.text import format_seconds

_SILENT = 20.0
"""Seconds after which it is told that a host has reported nothing new."""
_WINDOW = 30.0
"""Seconds over which the rate of the run is measured."""


class FleetTotals(NamedTuple):
    """The size of a run over hosts."""

    hosts: int
    images: int
    """Of each host."""
    parallel: int
    """Hosts that run at once, at most."""
    jobs: int
    """Pulls on each host; 0 if that is the hosts' own business."""


class HostProgress:
    """What one running host has done."""

    def __init__(self, name: str, wave: int, began: float) -> None:
        self.name, self.wave, self.began = name, wave, began
        self.total = self.done = self.failed = self.bytes = 0
        self.running: dict[PullRequest, int] = {}
        """Images that are pulled, with the bytes of each."""
        self.heard = began
        """When it reported something last."""
        self._pause = (0.0, "")

    def add(self, event: Event, now: float) -> None:
        """Count an event; images that were not pulled are not done."""
        if isinstance(event, Paused):
            if event.subject in HOST_PAUSES:
                self._pause = now + event.seconds, event.failure.title
            return
        self.heard = now
        if isinstance(event, Started | Progress) or (isinstance(event, Finished) and event.outcome.ok):
            self._pause = 0.0, ""
        match event:
            case RunStarted():
                self.total = event.total
            case Started():
                self.running.setdefault(event.request, 0)
            case Progress():
                before = self.running.get(event.request, 0)
                self.running[event.request] = max(before, event.counted)
                self.bytes += max(0, event.counted - before)
            case Finished():
                self.running.pop(event.request, None)
                self.done += event.outcome.status is not Status.CANCELLED
                self.failed += event.outcome.status is Status.FAILED
            case _:
                pass

    def pause(self, now: float) -> tuple[float, str] | None:
        """Return for how many seconds more the host waits for its engine, and why; None if it does not wait."""
        ends, why = self._pause
        return (ends - now, why) if ends > now else None

    def silence(self, now: float) -> str:
        """Say for how long the host has reported nothing new; empty if that is not long."""
        silent = now - self.heard
        return f"no progress for {format_seconds(silent // 1)}" if silent >= _SILENT else ""


class FleetState:
    """Collects the events of all hosts; `lock` is held to read it."""

    def __init__(self, totals: FleetTotals, clock: Callable[[], float] = monotonic) -> None:
        self.totals, self.clock, self.lock, self.began = totals, clock, Lock(), clock()
        self.running: dict[str, HostProgress] = {}
        """The hosts that have begun and not ended, in order."""
        self.states = dict.fromkeys(HostState, 0)
        self.done = self.failed = self.bytes = 0
        """Images of all hosts, and bytes."""
        self.lost = 0
        """Images of hosts that have ended, which were not pulled."""
        self.wave = self.waves = 0
        self.halted = ""
        self.pauses: dict[str, tuple[float, str]] = {}
        """Waits for a registry: when each ends, and why."""
        self.meter = RateMeter(_WINDOW)

    def add(self, event: Event) -> None:
        with self.lock:
            now = self.clock()
            if isinstance(event, Paused) and event.subject not in HOST_PAUSES:
                self.pauses[event.subject] = (now + event.seconds, event.failure.title)
            host = self.running.get(event.host or "")
            if host is None:
                return
            done, failed, fetched = host.done, host.failed, host.bytes
            host.add(event, now)
            self.done += host.done - done
            self.failed += host.failed - failed
            if host.bytes > fetched:
                self.bytes += host.bytes - fetched
                self.meter.add(now, self.bytes)

    def add_fleet(self, event: FleetEvent) -> None:
        with self.lock:
            match event:
                case HostStarted():
                    self.wave, self.waves = event.wave, event.waves
                    self.running[event.host.name] = HostProgress(event.host.name, event.wave, self.clock())
                case HostEnded():
                    host = self.running.pop(event.result.name, None)
                    self.states[event.result.state] += 1
                    ends = [outcome.status for outcome in event.outcomes]
                    lost, failed = ends.count(Status.CANCELLED), ends.count(Status.FAILED)
                    self.lost += lost
                    self.done += len(ends) - lost - (host.done if host else 0)
                    self.failed += failed - (host.failed if host else 0)
                case Halted():
                    self.halted = event.reason

    @property
    def ended(self) -> int:
        """Hosts that have ended."""
        return sum(self.states.values())

    @property
    def wave_words(self) -> str:
        """The current wave, such as `canary` or `wave 2 of 5`; empty if there is only one."""
        if not self.wave and self.running:
            return "canary"
        return f"wave {self.wave} of {self.waves}" if self.waves > 1 else ""
