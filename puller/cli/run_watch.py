"""A run by a broker while it lasts: its hosts as the live view of `puller fleet pull` shows them."""

import sys
import time
from collections.abc import Callable
from typing import Any

from puller.cancellation import Cancellation, interruptible
from puller.cli.fleet_store import runs_module
from puller.cli.output import emit_report
from puller.cli.progress.fleet import follow_fleet
from puller.cli.progress.fleet_state import FleetTotals
from puller.cli.progress.log import ProgressMode, Timestamps, open_log
from puller.cli.signals import Signals
from puller.errors import CancelledError
from puller.fleet.hosts import FleetHost
from puller.fleet.model import FleetEvent, Halted, HostEnded, HostStarted
from puller.fleet.runs.model import RunState
from puller.model import Report
from puller.model.hosts import Fleet, HostState

_SECONDS = 1.0
_SHARE = 10
"""Reading a large run takes long: puller waits ten times as long before it reads it again."""
_OPEN = (HostState.NOT_STARTED, HostState.RUNNING, HostState.DEFERRED)


def watch_run(
    store: Any,
    name: str,
    signals: Signals,
    *,
    quiet: bool = False,
    progress: str = ProgressMode.AUTO,
    form: str = "text",
) -> int:
    """Show a run until it is over, then its report; an interrupt ends only that. Returns the exit code."""
    options = {
        "quiet": quiet, "progress": progress, "verbose": 0, "log_file": None, "log_timestamps": Timestamps.AUTO,
    }  # fmt: skip
    images, hosts = len(store.images(name)), len(store.hosts(name))
    with open_log(options, sys.stderr) as log:
        with follow_fleet(log, FleetTotals(hosts, images, hosts, 0)) as seen:
            follower = _Follower(store, name, seen.fleet_event)
            report = interruptible(lambda: follower.follow(signals.cancellation), signals.cancellation)
        signals.finish()
        log.end()
    emit_report(report, form, name)
    if signals.exit_code:
        sys.stderr.write(f"puller: the run goes on; `puller watch {name}` follows it again\n")
    return signals.exit_code or report.exit_code


class _Follower:
    """Turns what changes in the store into events."""

    def __init__(self, store: Any, name: str, tell: Callable[[FleetEvent], None]) -> None:
        self._store, self._name, self._tell = store, name, tell
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._halted = False

    def follow(self, cancel: Cancellation) -> Report:
        """Return the report when the run is over or cancelled, or nobody follows any more."""
        make: Callable[..., Report] = runs_module("report").report_of_run
        version = -1
        while True:
            began, run = time.monotonic(), self._store.run(self._name)
            if run.version != version:
                version, report = run.version, make(self._store, run)
                self._tell_of(report)
            runs = report.fleet and report.fleet.in_state(HostState.RUNNING)
            if run.state in (RunState.FINISHED, RunState.CANCELLED) and not runs:
                return report
            try:
                cancel.sleep(max(_SECONDS, (time.monotonic() - began) * _SHARE))
            except CancelledError:
                return make(self._store, self._store.run(self._name))

    def _tell_of(self, report: Report) -> None:
        fleet = report.fleet or Fleet(())
        waves = max((host.wave or 0 for host in fleet.hosts), default=0)
        for host in fleet.hosts:
            if host.state in (HostState.NOT_STARTED, HostState.DEFERRED) or host.name in self._ended:
                continue
            if host.name not in self._begun:
                self._begun.add(host.name)
                self._tell(HostStarted(FleetHost(host.name, host.url), host.wave or 0, waves))
            if host.state not in _OPEN:
                self._ended.add(host.name)
                self._tell(HostEnded(host, tuple(each for each in report.outcomes if each.host == host.name)))
        if fleet.halted and not self._halted:
            self._halted = True
            self._tell(Halted(fleet.halted, len(fleet.in_state(HostState.NOT_STARTED))))
