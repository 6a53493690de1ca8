"""The line that a log has at regular intervals: what is in flight, how far it is, and what is waited for."""

import threading

import pytest

from puller.cli.progress.heartbeat import beating
from puller.cli.progress.lines import PlainLines
from puller.errors import FailureKind
from puller.events import (
    ENGINE,
    Event,
    Finished,
    Paused,
    Phase,
    Postponed,
    Progress,
    RetryScheduled,
    RunStarted,
    SizeKnown,
    Started,
)
from puller.failure import failure
from puller.model import Status
from tests.lab.samples import outcome, request
from tests.unit.cli.progress.test_state import Clock

NGINX, REDIS = request("nginx:1.27"), request("redis")
BUSY = failure(FailureKind.REGISTRY_5XX, "503 Service Unavailable")
SLOW = failure(FailureKind.RATE_LIMITED, "slow down")
SECONDS = 10


class Run:
    """A run of twenty images on a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lines = PlainLines(clock=self.clock)
        self.see(RunStarted(20, "Docker"))

    def see(self, *events: Event, after: float = 0) -> None:
        """Let these events happen after so many seconds."""
        self.clock.now += after
        for event in events:
            self.lines(event)

    def beat(self, after: float = 30) -> str:
        """Return the heartbeat after so many seconds."""
        self.clock.now += after
        return self.lines.heartbeat()


@pytest.fixture
def run() -> Run:
    """Start a run."""
    return Run()


def test_it_tells_what_each_image_does_how_far_it_is_and_since_when(run: Run) -> None:
    """Images in flight are named with phase, bytes and time, and the run's bytes with their total if it is known."""
    run.see(Started(NGINX, 1), Progress(NGINX, Phase.DOWNLOADING, 1_200_000, 5_300_000, 0, 4, counted=1_000_000))
    assert run.beat() == ("[ 0/20] in flight: nginx:1.27 (30s) downloading 1.2MB of 5.3MB; 1.0MB after 30s")
    run.see(SizeKnown(60_800_000, 2), Started(REDIS, 1))
    run.see(Progress(NGINX, Phase.EXTRACTING, 5_300_000, 5_300_000, 3, 4, counted=5_300_000))
    assert run.beat() == (
        "[ 0/20] in flight: nginx:1.27 (1m00s) extracting 3 of 4 layers, redis (30s) starting; "
        "5.3MB of at least 60.8MB after 1m00s"
    )
    run.see(SizeKnown(70_000_000), Progress(REDIS, Phase.QUEUED), Finished(NGINX, outcome("nginx:1.27")))
    assert run.beat() == "[ 1/20] in flight: redis (1m00s) waiting for the engine; 5.3MB of 70.0MB after 1m30s"


def test_the_bytes_of_the_only_image_are_said_once(run: Run) -> None:
    """Unless the total of the run is another."""
    run.see(Started(NGINX, 1), Progress(NGINX, Phase.DOWNLOADING, 2_200_000, 31_500_000, 0, 4, counted=2_200_000))
    once = "[ 0/20] in flight: nginx:1.27 (1m00s) downloading 2.2MB of 31.5MB"
    assert run.beat(60) == once
    run.see(SizeKnown(31_500_000))
    assert run.beat(0) == once
    run.see(SizeKnown(60_800_000))
    assert run.beat(0) == f"{once}; 2.2MB of 60.8MB after 1m00s"
    run.see(Paused("ghcr.io", SLOW, 75), SizeKnown(31_500_000))
    assert run.beat(0) == f"{once}; ghcr.io paused for 1m15s more: rate limited"


def test_of_many_images_it_names_the_oldest_three(run: Run) -> None:
    """The line stays short with a hundred concurrent pulls."""
    for number in range(5):
        run.see(Started(request(f"image:{number}"), 1), after=1)
    assert run.beat() == (
        "[ 0/20] in flight: image:0 (34s) starting, image:1 (33s) starting, image:2 (32s) starting, and 2 more; "
        "0B after 35s"
    )


def test_it_tells_waits_for_a_retry_and_for_a_turn(run: Run) -> None:
    """When the time of a retry has come and something else keeps it waiting, no retry in 0s is claimed."""
    run.see(Started(NGINX, 1), RetryScheduled(NGINX, 1, BUSY, 45))
    assert "nginx:1.27 (30s) retries in 15s" in run.beat()
    assert "nginx:1.27 (1m00s) waits for its turn to retry" in run.beat()
    run.see(Started(NGINX, 2))
    assert "nginx:1.27 (1m30s) starting" in run.beat()


def test_it_tells_what_the_run_waits_for_when_nothing_is_in_flight(run: Run) -> None:
    """A registry's rate limit, and an engine that is gone until an attempt starts; an image for later is no flight."""
    run.see(Started(NGINX, 1), Paused("ghcr.io", SLOW, 75), Postponed(NGINX, BUSY))
    assert run.beat() == "[ 0/20] nothing in flight; ghcr.io paused for 45s more: rate limited; 0B after 30s"
    run.see(Paused(ENGINE, failure(FailureKind.DAEMON_UNREACHABLE, "gone"), 30))
    assert "engine paused for 29s more: engine not reachable" in run.beat(1)
    run.see(Started(REDIS, 1))
    assert "engine" not in run.beat(1)
    assert "ghcr.io" not in run.beat(60)


def test_the_last_line_of_a_file_tells_the_result(run: Run) -> None:
    """By status, with the images that were never tried, bytes and time."""
    run.see(Started(NGINX, 1), Progress(NGINX, Phase.DOWNLOADING, counted=12_300_000), after=39)
    run.see(Finished(NGINX, outcome("nginx:1.27")), Finished(REDIS, outcome("redis", Status.FAILED)))
    assert run.lines.end() == "[ 2/20] ended: 1 pulled, 1 failed, 18 not tried; 12.3MB in 39s"


def test_it_comes_again_and_again_and_never_after_the_end() -> None:
    """One that goes wrong costs itself only, and its thread does not outlive the block."""
    beats, thrice = [], threading.Event()

    def beat() -> None:
        beats.append(threading.current_thread())
        if len(beats) >= 3:
            thrice.set()
        raise OSError("no such stream")

    with beating(beat, 0.01):
        assert thrice.wait(SECONDS)
    number = len(beats)
    assert beats[0].daemon
    beats[0].join(SECONDS)
    assert (beats[0].is_alive(), len(beats)) == (False, number)
