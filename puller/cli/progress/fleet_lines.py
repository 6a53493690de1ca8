"""A run over many hosts as lines: plain ones for logs, and JSON for programs."""

import json

from puller.cli.progress.fleet_state import FleetState, HostProgress
from puller.cli.progress.lines import json_line
from puller.events import HOST_PAUSES, Event, Finished, Paused, Postponed, RetryScheduled, RunStarted, Started
from puller.fleet.model import FleetEvent, Halted, HostEnded, HostStarted
from puller.model import Status
from puller.model.hosts import HostState
from puller.report.hosts import state_words
from puller.report.words import bare_name, ending, reason, status_words
from puller.text import clean, counted, format_bytes, format_seconds

_WIDTH = max(len(state) for state in HostState)
_NAMED = 3
"""Running hosts that one line names."""


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
