"""Progress of a run over many hosts, as the mode of its log says."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from puller.cli.progress.fleet_lines import FleetLines, fleet_json
from puller.cli.progress.fleet_state import FleetState, FleetTotals
from puller.cli.progress.lines import QuietStream, json_line
from puller.cli.progress.log import Log, ProgressMode
from puller.events import Event, Observer
from puller.fleet.model import FleetEvent


class FleetObservers(NamedTuple):
    """The observers of a run over hosts."""

    event: Observer
    """For the events of all hosts; called from many threads."""
    fleet_event: Callable[[FleetEvent], None]


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
