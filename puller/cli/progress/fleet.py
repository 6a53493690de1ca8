"""Progress of a run over many hosts: what each host does, as plain lines and as JSON."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import NamedTuple

from puller.cli.progress.lines import QuietStream, json_line
from puller.cli.progress.log import Log, ProgressMode
from puller.cli.progress.state import RateMeter
from puller.events import (
    HOST_PAUSES,
    Event,
    Finished,
    Observer,
    Paused,
    Postponed,
    Progress,
    RetryScheduled,
    RunStarted,
    Started,
)
from puller.fleet.model import FleetEvent, Halted, HostEnded, HostStarted
from puller.model import PullRequest, Status
from puller.model.hosts import HostState
from puller.report.hosts import state_words
from puller.report.words import bare_name, ending, reason, status_words
from puller.system.clock import monotonic
from puller.text import clean, counted, format_bytes, format_seconds

_WIDTH = max(len(state) for state in HostState)
_NAMED = 3
"""Running hosts that one line names."""
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


class FleetObservers(NamedTuple):
    """The observers of a run over hosts."""

    event: Observer
    """For the events of all hosts; called from many threads."""
    fleet_event: Callable[[FleetEvent], None]


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


class FleetLines:
    """Makes lines for a log: for each host that begins and ends, for each failed image, and with `verbose` for all."""

    def __init__(self, state: FleetState, verbose: int = 0) -> None:
        self._state, self._verbose = state, verbose

    def opening(self) -> str:
        """Return the first line."""
        hosts, images, parallel, jobs = self._state.totals
        if not jobs:
            return f"{counted(images, 'image')} for {counted(hosts, 'host')}, pulled by their workers"
        pulls = f"{min(parallel, hosts)} at a time, {jobs} pulls on each" if hosts > 1 else f"{jobs} pulls at a time"
        return f"pulling {counted(images, 'image')} into {counted(hosts, 'host')}, {pulls}"

    def heartbeat(self) -> str:
        """Return a line about the moment: which hosts run, and what is done on all hosts."""
        state = self._state
        with state.lock:
            hosts = [*state.running.values()]
            named = [_moment(host, state.clock()) for host in hosts[:_NAMED]]
            named += [f"and {len(hosts) - _NAMED} more"] if len(hosts) > _NAMED else []
            total = state.totals.hosts * state.totals.images
            facts = [f"{state.done}/{total} images", format_bytes(state.bytes) if state.bytes else ""]
            running = f"running: {', '.join(named)}" if named else "no host runs"
            return f"{self._counter()} {'; '.join(filter(None, (running, ', '.join(filter(None, facts)))))}"

    def fleet_line(self, event: FleetEvent) -> str:
        match event:
            case HostStarted():
                wave = "canary" if not event.wave else f"wave {event.wave}" if event.waves > 1 else ""
                words = "  ".join(filter(None, (clean(event.host.name), wave)))
                return f"{self._counter()} {'begins':<{_WIDTH}}  {words}"
            case HostEnded():
                return f"{self._counter()} {self._ended(event)}"
            case Halted():
                return f"halted: {clean(event.reason)}; {counted(event.hosts, 'host')} not started"

    def line(self, event: Event) -> str | None:
        """Return the line of an event of a host; None if it has none."""
        host = f"{clean(event.host or '')}: "
        match event:
            case Finished() if self._verbose or event.outcome.status is Status.FAILED:
                status = status_words(event.outcome.status, of_hosts=True)
                return f"{status}  {host}{bare_name(event.request)}  {ending(event.outcome)}"
            case Paused():
                subject = event.host if event.host and event.subject in HOST_PAUSES else event.subject
                return f"paused for {format_seconds(event.seconds)}  {clean(subject)}  {reason(event.failure)}"
            case RetryScheduled() if self._verbose:
                wait = format_seconds(event.delay)
                return f"retry in {wait}  {host}{bare_name(event.request)}  {reason(event.failure)}"
            case Postponed() if self._verbose:
                return f"will retry at the end  {host}{bare_name(event.request)}  {reason(event.failure)}"
            case Started() if self._verbose > 1:
                return f"starts  {host}{bare_name(event.request)}"
        return None

    def _ended(self, event: HostEnded) -> str:
        result, outcomes = event.result, event.outcomes
        words = [f"{state_words(result.state):<{_WIDTH}}", clean(result.name)]
        if result.state is HostState.UNREACHABLE and result.failure:
            return "  ".join((*words, reason(result.failure)))
        fetched = sum(outcome.bytes for outcome in outcomes)
        amount = f"{format_bytes(fetched)} in " if fetched else ""
        words += [f"{sum(outcome.ok for outcome in outcomes)}/{counted(len(outcomes), 'image')}"]
        return "  ".join((*words, f"{amount}{format_seconds(result.seconds)}"))

    def _counter(self) -> str:
        total = str(self._state.totals.hosts)
        return f"[{self._state.ended:>{len(total)}}/{total}]"


def _moment(host: HostProgress, now: float) -> str:
    """Return what a running host has done, and whether it waits: `web-1 2/6 (paused: host not reachable)`."""
    pause = host.pause(now)
    why = f"paused: {pause[1]}" if pause else host.silence(now)
    return f"{clean(host.name)} {host.done}/{host.total or '?'}{f' ({why})' if why else ''}"


def fleet_json(event: FleetEvent) -> str:
    """Return an event of a host as a line of ASCII JSON, with the keys of the lines of images."""
    base = json.loads(json_line(RunStarted(0, "")))
    match event:
        case HostStarted():
            values = {"event": "host_started", "id": event.host.name, "text": "Begins", "wave": event.wave}
        case HostEnded():
            result = event.result
            status = "Done" if result.state is HostState.DONE else "Error"
            details = reason(result.failure) if result.failure else ""
            values = {"event": "host_finished", "id": result.name, "status": status, "details": details}
            values |= {"text": state_words(result.state).capitalize(), "seconds": result.seconds}
        case Halted():
            values = {"event": "halted", "status": "Error", "text": "Halted", "details": event.reason}
    host = values.get("id")
    return json.dumps(base | values | {"host": host, "total": None})


@contextmanager
def follow_fleet(log: Log, totals: FleetTotals) -> Iterator[FleetObservers]:
    """Yield the observers that show a run as the mode of a log says, and write plain lines to its file."""
    state = FleetState(totals)
    lines = FleetLines(state, log.verbose)
    plain, as_json = log.mode is ProgressMode.PLAIN or log.has_file, log.mode is ProgressMode.JSON
    stream = QuietStream(log.stream)

    def event(seen: Event) -> None:
        state.add(seen)
        if plain and (line := lines.line(seen)):
            log.line(line)
        if as_json:
            stream.write(json.dumps(json.loads(json_line(seen)) | {"host": seen.host}) + "\n")
        ended(seen)

    def fleet_event(seen: FleetEvent) -> None:
        state.add_fleet(seen)
        if plain:
            log.line(lines.fleet_line(seen))
        if as_json:
            stream.write(fleet_json(seen) + "\n")
        ended_host(seen)

    ended: Callable[[Event], object] = lambda _: None  # noqa: E731 - replaced by the live view's
    ended_host: Callable[[FleetEvent], object] = lambda _: None  # noqa: E731 - likewise
    with ExitStack() as stack:
        if plain:
            log.line(lines.opening())
            log.news = lines.heartbeat
        if log.mode is ProgressMode.TTY:
            from puller.cli.progress.fleet_view import show_fleet  # noqa: PLC0415 - it needs rich

            ended, ended_host = stack.enter_context(show_fleet(stream, state, lines))
        try:
            yield FleetObservers(event, fleet_event)
        finally:
            log.news = lambda: "all hosts have ended; the results are being written"
