"""What is shown while a run over hosts lasts: rows on a terminal, lines with the host in a log."""

import io
import json

import pytest

from puller.cli.progress import Log, ProgressMode
from puller.cli.progress.fleet import follow_fleet
from puller.cli.progress.fleet_lines import FleetLines
from puller.cli.progress.fleet_state import FleetState, FleetTotals
from puller.errors import FailureKind
from puller.events import ENGINE, Event, Finished, Paused, Phase, Progress, RunStarted, Started, at_host
from puller.failure import failure
from puller.fleet.hosts import FleetHost
from puller.fleet.model import FleetEvent, Halted, HostEnded, HostStarted
from puller.model import Status
from puller.model.hosts import HostResult, HostState
from tests.lab.samples import outcome, request
from tests.unit.cli.progress.test_live import LINES, Terminal

NGINX, NOPE = request("nginx:1.27"), request("nope")
GOOD, BAD = outcome("nginx:1.27"), outcome("nope", Status.FAILED)
LIMITED = failure(FailureKind.RATE_LIMITED, "toomanyrequests")
GONE = failure(FailureKind.DAEMON_UNREACHABLE, "no route to host")


def begins(name: str, wave: int = 1, waves: int = 1) -> HostStarted:
    """Begin a host."""
    return HostStarted(FleetHost(name, f"ssh://{name}"), wave, waves)


def ends(name: str, state: HostState = HostState.DONE) -> HostEnded:
    """End a host, with two images; those of a host that was not reached were not pulled."""
    why = GONE if state is HostState.UNREACHABLE else None
    outcomes = (GOOD, GOOD if state is HostState.DONE else BAD)
    if why:
        outcomes = (outcome("nginx:1.27", Status.CANCELLED), outcome("nope", Status.CANCELLED))
    return HostEnded(HostResult(name, f"ssh://{name}", state, seconds=5.0, failure=why), outcomes)


def on(host: str, *events: Event) -> list[Event]:
    """Let events be of a host."""
    return [at_host(event, host) for event in events]


RUN: list[Event | FleetEvent] = [
    begins("web-1", 0, 2),
    *on("web-1", RunStarted(2, "engine 28"), Started(NGINX, 1), Progress(NGINX, Phase.DOWNLOADING, counted=5_000_000)),
    *on("web-1", Paused("docker.io", LIMITED, 30.0), Finished(NGINX, GOOD), Finished(NOPE, BAD)),
    ends("web-1", HostState.FAILED),
    begins("web-2", 1, 2),
    ends("web-2", HostState.UNREACHABLE),
    Halted("the canary web-1 failed", 3),
]


def logged(mode: ProgressMode, verbose: int = 0) -> list[str]:
    """Return the lines of that run."""
    stream = io.StringIO()
    with follow_fleet(Log(stream, mode, verbose=verbose), FleetTotals(5, 2, 20, 3)) as observers:
        for event in RUN:
            if isinstance(event, HostStarted | HostEnded | Halted):
                observers.fleet_event(event)
            else:
                observers.event(event)
    return stream.getvalue().splitlines()


def test_a_log_has_a_line_for_each_host_and_each_failed_image() -> None:
    """With the host, and how many hosts have ended."""
    assert logged(ProgressMode.PLAIN) == [
        "pulling 2 images into 5 hosts, 5 at a time, 3 pulls on each",
        "[0/5] begins       web-1  canary",
        "paused for 30s  docker.io  rate limited (rate_limited): toomanyrequests",
        "failed  web-1: nope  image or tag not found (not_found): manifest unknown",
        "[1/5] failed       web-1  1/2 images  5.0s",
        "[1/5] begins       web-2  wave 1",
        "[2/5] unreachable  web-2  engine not reachable (daemon_unreachable): no route to host",
        "halted: the canary web-1 failed; 3 hosts not started",
    ]


def test_with_verbose_a_log_has_a_line_for_each_image() -> None:
    """`-v`."""
    assert "pulled  web-1: nginx:1.27  4.2s" in logged(ProgressMode.PLAIN, verbose=1)


def test_json_lines_have_the_host() -> None:
    """Each has all keys of the lines of one engine; hosts have events of their own."""
    lines = [json.loads(line) for line in logged(ProgressMode.JSON)]
    assert [line["event"] for line in lines if line["id"] in ("web-1", "web-2")] == [
        "host_started", "host_finished", "host_started", "host_finished"
    ]  # fmt: skip
    assert {line["host"] for line in lines if line["event"] == "finished"} == {"web-1"}
    assert len({frozenset(line) & {"event", "time", "id", "status", "text", "percent"} for line in lines}) == 1
    assert lines[-1]["details"] == "the canary web-1 failed"


def test_a_heartbeat_names_running_hosts() -> None:
    """And what is done on all hosts."""
    log = Log(io.StringIO(), ProgressMode.PLAIN)
    with follow_fleet(log, FleetTotals(5, 2, 20, 3)) as observers:
        observers.fleet_event(begins("web-0"))
        observers.fleet_event(ends("web-0"))
        observers.fleet_event(begins("web-1"))
        for event in on("web-1", RunStarted(2, "engine 28"), Finished(NGINX, GOOD)):
            observers.event(event)
        assert log.news() == "[1/5] running: web-1 1/2; 3/10 images"


def test_images_of_hosts_that_were_not_reached_are_no_progress() -> None:
    """Neither those of a host that never answered nor those that a lost host did not pull."""
    log = Log(io.StringIO(), ProgressMode.PLAIN)
    with follow_fleet(log, FleetTotals(3, 2, 20, 3)) as observers:
        observers.fleet_event(begins("web-0"))
        observers.fleet_event(begins("web-1"))
        for event in on("web-0", RunStarted(2, "engine 28"), Finished(NOPE, outcome("nope", Status.CANCELLED))):
            observers.event(event)
        assert log.news() == "[0/3] running: web-0 0/2, web-1 0/?; 0/6 images"
        observers.fleet_event(ends("web-0", HostState.UNREACHABLE))
        observers.fleet_event(ends("web-1", HostState.UNREACHABLE))
        assert log.news() == "[2/3] no host runs; 0/6 images"


def test_a_host_that_waits_for_its_engine_is_named() -> None:
    """In the line of the pause, and in the lines about the moment until its engine answers again."""
    stream = io.StringIO()
    log, pause = Log(stream, ProgressMode.PLAIN), Paused(ENGINE, GONE, 30.0)
    with follow_fleet(log, FleetTotals(2, 2, 20, 3)) as observers:
        observers.fleet_event(begins("web-1"))
        for event in on("web-1", RunStarted(2, "engine 28"), Started(NGINX, 1), pause):
            observers.event(event)
        assert log.news() == "[0/2] running: web-1 0/2 (paused: engine not reachable); 0/4 images"
        for event in on("web-1", Progress(NGINX, Phase.DOWNLOADING, counted=5_000_000)):
            observers.event(event)
        assert log.news() == "[0/2] running: web-1 0/2; 0/4 images, 5.0MB"
    assert stream.getvalue().splitlines()[-1].startswith("paused for 30s  web-1  engine not reachable")


def test_a_host_that_has_been_silent_is_told() -> None:
    """Its connection may be lost, which ssh notices only after a while."""
    now = [0.0]
    state = FleetState(FleetTotals(1, 2, 20, 3), lambda: now[0])
    state.add_fleet(begins("web-1"))
    for event in on("web-1", RunStarted(2, "engine 28"), Started(NGINX, 1)):
        state.add(event)
    now[0] = 45.5
    assert "web-1 0/2 (no progress for 45s)" in FleetLines(state).heartbeat()


def test_a_row_says_that_its_host_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of how many images run; there is no forecast meanwhile."""
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", str(LINES))
    with follow_fleet(Log(terminal, ProgressMode.TTY), FleetTotals(1, 2, 20, 3)) as observers:
        observers.fleet_event(begins("web-1"))
        pause = Paused(ENGINE, GONE, 30.0)
        for event in on("web-1", RunStarted(2, "engine 28"), Finished(NGINX, GOOD), Started(NOPE, 1), pause):
            observers.event(event)
        lines = terminal.until("paused for")
        (row,) = [line for line in lines if "paused for" in line]
        assert "web-1" in row
        assert "engine not reachable" in row
        assert "running" not in row
        assert "left" not in lines[-1]


def test_a_terminal_has_a_row_for_each_running_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below are the waves, hosts and images of the whole run; what ended is above, and stays."""
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", str(LINES))
    with follow_fleet(Log(terminal, ProgressMode.TTY), FleetTotals(5, 2, 20, 3)) as observers:
        observers.fleet_event(begins("web-0"))
        observers.fleet_event(ends("web-0", HostState.UNREACHABLE))
        observers.fleet_event(begins("web-1", 2, 4))
        for event in on("web-1", RunStarted(2, "engine 28"), Started(NGINX, 1), Finished(NOPE, BAD)):
            observers.event(event)
        lines = terminal.until("1 failed  1 running")
        assert lines[0].startswith("[1/5] unreachable  web-0")
        assert lines[1].startswith("failed  web-1: nope")
        (row,) = [line for line in lines if "running" in line]
        assert "web-1" in row
        assert "1/2" in row
        assert lines[-1].startswith("1/5 hosts  1 unreachable  wave 2 of 4  1/10 images  1 failed")
    assert not [line for line in terminal.lines if "hosts  " in line]


def test_many_hosts_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have no room are counted, and the last line is the whole run."""
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", str(LINES))
    with follow_fleet(Log(terminal, ProgressMode.TTY), FleetTotals(500, 50, 200, 3)) as observers:
        for number in range(200):
            observers.fleet_event(begins(f"host-{number}"))
        lines = terminal.until("more hosts")
        assert len(lines) < LINES
        assert lines[-1].startswith("0/500 hosts  0/25000 images")


def test_one_host_begins_in_plain_words() -> None:
    """How many pulls there are at a time."""
    stream = io.StringIO()
    with follow_fleet(Log(stream, ProgressMode.PLAIN), FleetTotals(1, 6, 1, 3)):
        pass
    assert stream.getvalue().splitlines()[0] == "pulling 6 images into 1 host, 3 pulls at a time"
