"""What the live view knows, moment by moment."""

import pytest

from puller.cli.progress.drawing import ASCII, UNICODE, cut_middle, draw
from puller.cli.progress.state import State
from puller.errors import FailureKind
from puller.events import ENGINE, Finished, Paused, Phase, Postponed, Progress, RetryScheduled, RunStarted, Started
from puller.failure import failure
from puller.model import Status
from tests.lab.samples import outcome, request

NGINX, REDIS = request("nginx:1.27"), request("redis")
BUSY = failure(FailureKind.REGISTRY_5XX, "503 Service Unavailable")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock at rest."""
    return Clock()


@pytest.fixture
def state(clock: Clock) -> State:
    """Give a run of three images of which one has started."""
    state = State(clock)
    state.add(RunStarted(3, "Docker"))
    state.add(Started(NGINX, 1))
    return state


def lines(state: State, width: int = 100, height: int = 24) -> list[str]:
    """Draw the view without its colours."""
    return ["".join(words for words, _ in line) for line in draw(state, UNICODE, width, height)]


def test_a_retry_counts_down_and_then_starts(state: State, clock: Clock) -> None:
    """The row says when the next attempt comes, and goes on with it."""
    state.add(RetryScheduled(NGINX, 1, BUSY, 4.0))
    assert lines(state)[0] == "↻ nginx:1.27  retry 1 in 4s: registry_5xx"
    clock.now += 2.5
    assert "in 2s" in lines(state)[0]
    clock.now += 9
    assert "in 0s" in lines(state)[0]
    state.add(Started(NGINX, 2))
    assert "starting" in lines(state)[0]


def test_a_registry_that_is_left_alone_counts_down(state: State, clock: Clock) -> None:
    """A line of its own says which registry, for how long and why; it goes when the wait is over."""
    state.add(Paused("ghcr.io", failure(FailureKind.RATE_LIMITED, "slow down"), 30))
    assert lines(state)[1] == "‖ ghcr.io  paused for 30s: rate_limited"
    clock.now += 12.5
    assert lines(state)[1] == "‖ ghcr.io  paused for 18s: rate_limited"
    clock.now += 18
    assert len(lines(state)) == 2


def test_the_wait_for_an_engine_ends_when_an_attempt_begins(state: State) -> None:
    """The engine is back before its time is up: the line goes."""
    state.add(Paused(ENGINE, failure(FailureKind.DAEMON_UNREACHABLE, "gone"), 30))
    assert lines(state)[1] == "‖ engine  paused for 30s: daemon_unreachable"
    state.add(Started(NGINX, 2))
    assert len(lines(state)) == 2


def test_an_image_that_waits_for_the_second_pass_is_neither_in_flight_nor_failed(state: State) -> None:
    """Its row goes, and it counts as left."""
    state.add(Postponed(NGINX, BUSY))
    assert lines(state)[0].startswith("─")
    assert "0/3 done  3 left" in lines(state)[0]


def test_many_pauses_leave_the_last_line(state: State) -> None:
    """A terminal of few lines still shows the whole run."""
    for number in range(9):
        state.add(Paused(f"r{number}.io", BUSY, 30))
    drawn = lines(state, height=6)
    assert len(drawn) <= 6
    assert "3 left" in drawn[-1]


def test_bytes_never_run_backwards(state: State) -> None:
    """Neither a new attempt nor the end of an image takes bytes away."""
    seen = []
    for event in (
        Progress(NGINX, Phase.DOWNLOADING, 700, 1000, counted=700),
        RetryScheduled(NGINX, 1, BUSY, 1),
        Started(NGINX, 2),
        Progress(NGINX, Phase.DOWNLOADING, 100, 1000, counted=100),
        Progress(NGINX, Phase.DOWNLOADING, 1000, 1000, counted=1000),
        Finished(NGINX, outcome()),
        Started(REDIS, 1),
        Progress(REDIS, Phase.DOWNLOADING, 50, 100, counted=50),
    ):
        state.add(event)
        seen.append(state.downloaded)
    assert seen == [700, 700, 700, 700, 1000, 1000, 1000, 1050]


def test_the_rate_is_that_of_the_last_two_seconds(state: State, clock: Clock) -> None:
    """A stalled download shows no old rate for long."""
    for second in range(6):
        clock.now = 100.0 + second
        state.add(Progress(NGINX, Phase.DOWNLOADING, second * 1000, 10_000, counted=second * 1000))
    assert lines(state)[0].endswith(" 1.0kB/s")
    clock.now += 1
    assert lines(state)[0].endswith(" 500B/s")
    clock.now += 2
    assert "/s" not in lines(state)[0]


def test_an_ended_image_has_no_row_and_is_counted(state: State) -> None:
    """Rows are images in flight; the last line counts all."""
    state.add(Finished(NGINX, outcome(status=Status.FAILED)))
    (overall,) = lines(state)
    assert "1/3 done  1 failed  2 left" in overall


def test_layers_are_shown_where_bytes_are_unknown(state: State) -> None:
    """The CLI tells no bytes: its rows count layers."""
    state.add(Progress(NGINX, Phase.DOWNLOADING, layers_done=3, layers=7))
    assert "3/7 layers" in lines(state)[0]
    state.add(Progress(NGINX, Phase.DOWNLOADING, 12_300_000, 40_100_000, 3, 7, counted=12_300_000))
    assert "12.3MB/40.1MB" in lines(state)[0]


@pytest.mark.parametrize("width", [1, 10, 20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("height", [1, 3, 5, 24])
def test_the_view_fits_its_terminal(state: State, width: int, height: int) -> None:
    """Never more rows than the terminal has; what is hidden is counted."""
    for number in range(30):
        state.add(Started(request(f"registry.example.com/team/project/image-{number}:1.0"), 1))
    drawn = lines(state, width, height)
    assert len(drawn) <= max(2, height - 1)
    assert "more" in drawn[-2]
    if width >= 60:
        assert max(map(len, drawn)) < width


def test_a_cut_name_keeps_both_ends() -> None:
    """Registry and tag are what tells images apart."""
    assert cut_middle("registry.example.com/team/service:1.2", 17) == "regis…service:1.2"
    assert len(cut_middle("registry.example.com/team/service:1.2", 17, "..")) == 17
    assert cut_middle("nginx", 5) == "nginx"


def test_ascii_terminals_get_ascii(state: State) -> None:
    """No mark of the fallback needs more than ASCII."""
    state.add(Progress(NGINX, Phase.DOWNLOADING, 1, 2))
    drawn = [words for line in draw(state, ASCII, 100, 24) for words, _ in line]
    assert "".join([*drawn, *ASCII.marks.values()]).isascii()
