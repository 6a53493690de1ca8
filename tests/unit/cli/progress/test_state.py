"""What the live view knows, moment by moment."""

import pytest

from puller.cli.progress.drawing import ASCII, UNICODE, cut_middle, draw
from puller.cli.progress.state import State
from puller.errors import FailureKind
from puller.events import (
    ENGINE,
    Fetched,
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
from puller.system.clock import monotonic as running_time
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


def test_a_row_has_the_time_of_the_result() -> None:
    """Seconds in which the process was stopped, as after Ctrl-Z, count in neither."""
    assert State().clock is running_time


def lines(state: State, width: int = 100, height: int = 24) -> list[str]:
    """Draw the view without its colours."""
    return ["".join(words for words, _ in line) for line in draw(state, UNICODE, width, height)]


def download(state: State, clock: Clock, seconds: int, rate: int = 1_000_000) -> None:
    """Let nginx come at so many bytes a second."""
    for _ in range(seconds):
        clock.now += 1
        fetched = state.downloaded + rate
        state.add(Progress(NGINX, Phase.DOWNLOADING, fetched, 99_000_000, counted=fetched))


def test_a_retry_counts_down_waits_for_its_turn_and_then_starts(state: State, clock: Clock) -> None:
    """The row says when the next attempt comes; it never says `in 0s` while the image waits for something else."""
    state.add(RetryScheduled(NGINX, 1, BUSY, 4.0))
    assert lines(state)[0].startswith("↻ nginx:1.27  retry 1 in 4s: registry error ")
    clock.now += 2.5
    assert "in 2s" in lines(state)[0]
    clock.now += 1.5
    assert "↻ nginx:1.27  waiting for its turn " in lines(state)[0]
    assert "waiting  " in lines(state, width=40)[0]
    state.add(Started(NGINX, 2))
    assert "starting" in lines(state)[0]


def test_a_retry_waits_for_the_pause_of_its_registry(state: State, clock: Clock) -> None:
    """A rate limit that another image met delays it too."""
    state.add(RetryScheduled(NGINX, 1, BUSY, 4.0))
    state.add(Paused("docker.io", failure(FailureKind.RATE_LIMITED, "slow down"), 30))
    assert "retry 1 in 30s" in lines(state)[0]
    clock.now += 29.5
    assert "retry 1 in 1s" in lines(state)[0]
    clock.now += 1
    assert "waiting for its turn" in lines(state)[0]


def test_a_row_has_the_time_of_its_image(state: State, clock: Clock) -> None:
    """It counts from the first attempt, over all of them."""
    clock.now += 61
    assert lines(state)[0].endswith(" 1m01s")
    state.add(RetryScheduled(NGINX, 1, BUSY, 4.0))
    clock.now += 5
    state.add(Started(NGINX, 2))
    assert lines(state)[0].endswith(" 1m06s")
    assert lines(state, width=40)[0].endswith(" 1m06s")


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.WAITING])
def test_an_image_that_waits_for_a_slot_of_the_engine_says_so(state: State, phase: Phase) -> None:
    """Only images that have not started are called queued, in the last line."""
    state.add(Progress(NGINX, phase, 0, 500, 0, 3))
    row, overall = lines(state)
    assert " waiting for the engine  " in row
    assert "2 queued" in overall
    assert lines(state, width=40)[0].split() == ["⠋", "nginx:1.27", "waiting", "0s"]


def test_a_registry_that_is_left_alone_counts_down(state: State, clock: Clock) -> None:
    """A line of its own says which registry, for how long and why; it goes when the wait is over."""
    state.add(Paused("ghcr.io", failure(FailureKind.RATE_LIMITED, "slow down"), 30))
    assert lines(state)[1] == "‖ ghcr.io  paused for 30s: rate limited"
    clock.now += 12.5
    assert lines(state)[1] == "‖ ghcr.io  paused for 18s: rate limited"
    assert "paused for 18s" in lines(state, width=40)[1]
    clock.now += 18
    assert len(lines(state)) == 2


def test_the_wait_for_an_engine_ends_when_an_attempt_begins(state: State) -> None:
    """The engine is back before its time is up: the line goes."""
    state.add(Paused(ENGINE, failure(FailureKind.DAEMON_UNREACHABLE, "gone"), 30))
    assert lines(state)[1] == "‖ engine  paused for 30s: engine not reachable"
    state.add(Started(NGINX, 2))
    assert len(lines(state)) == 2


def test_an_image_that_waits_for_the_second_pass_is_neither_in_flight_nor_failed(state: State) -> None:
    """Its row goes, and it counts as queued."""
    state.add(Postponed(NGINX, BUSY))
    assert lines(state)[0].startswith("─")
    assert "0/3 images  3 queued" in lines(state)[0]


def test_many_pauses_leave_the_last_line(state: State) -> None:
    """A terminal of few lines still shows the whole run."""
    for number in range(9):
        state.add(Paused(f"r{number}.io", BUSY, 30))
    drawn = lines(state, height=6)
    assert len(drawn) <= 6
    assert "2 queued" in drawn[-1]


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


def test_a_row_has_the_rate_of_the_last_ten_seconds(state: State, clock: Clock) -> None:
    """The rate of a stalled download falls, and goes."""
    download(state, clock, 20, rate=1000)
    assert " 1.0kB/s " in lines(state)[0]
    clock.now += 6
    assert " 444B/s " in lines(state)[0]
    clock.now += 10
    assert "/s" not in lines(state)[0]


def test_a_slow_download_whose_engine_reports_seldom_has_a_rate(state: State, clock: Clock) -> None:
    """Engines report each half megabyte: at 40 kB/s that takes 13 seconds."""
    for _ in range(4):
        download(state, clock, 1, rate=500_000)
        clock.now += 11.5
    assert " 40.0kB/s " in lines(state)[0]


def test_the_footer_tells_how_much_is_left(state: State, clock: Clock) -> None:
    """Bytes of all bytes, the rate of the run and the time left, in steps: all from the same numbers."""
    state.add(SizeKnown(61_000_000))
    download(state, clock, 20)
    assert lines(state, width=80)[-2].endswith("0/3 images  2 queued  20s")
    assert lines(state, width=80)[-1] == "20.0 of 61.0MB  1.0MB/s  about 45s left"
    assert lines(state, width=40)[-1] == "20.0 of 61.0MB  1.0MB/s  about 45s left"
    assert lines(state, width=120)[-1].endswith("0/3 images  2 queued  20.0 of 61.0MB  1.0MB/s  about 45s left  20s")


def test_bytes_of_images_that_have_not_started_count(state: State, clock: Clock) -> None:
    """Puller downloads ahead of the engine: rate and time left are those of all downloads, and no byte counts twice."""
    state.add(SizeKnown(61_000_000))
    for second in range(1, 11):
        clock.now += 1
        state.add(Fetched(second * 3_000_000))
        state.add(Progress(NGINX, Phase.DOWNLOADING, second, 99, counted=second * 1_000_000))
    assert lines(state, width=80)[-1] == "30.0 of 61.0MB  3.0MB/s  about 11s left"


def test_a_size_that_is_not_final_is_a_least_one(state: State, clock: Clock) -> None:
    """As long as the sizes of some images are unknown, the total and the time may grow."""
    state.add(SizeKnown(61_000_000, 1))
    download(state, clock, 20)
    assert lines(state, width=80)[-1] == "20.0 of at least 61.0MB  1.0MB/s  at least 45s left"


def test_no_total_is_shown_before_half_of_the_sizes_are_known(state: State, clock: Clock) -> None:
    """The sum of a few images would only jump."""
    state.add(SizeKnown(61_000_000, 2))
    download(state, clock, 20)
    assert lines(state, width=80)[-1] == "20.0MB  1.0MB/s"


def test_a_total_that_has_come_is_said_once(state: State, clock: Clock) -> None:
    """Not as `20.0 of at least 20.0MB`."""
    state.add(SizeKnown(20_010_000, 1))
    download(state, clock, 20)
    assert lines(state, width=80)[-1] == "20.0MB  1.0MB/s"


def test_nothing_is_foretold_without_a_total(state: State, clock: Clock) -> None:
    """Bytes and rate alone say no more."""
    download(state, clock, 20)
    assert lines(state, width=80)[-1] == "20.0MB  1.0MB/s"


def test_more_bytes_than_the_total_are_not_shown(state: State, clock: Clock) -> None:
    """A layer that is fetched again counts again: then nothing is left as far as is known."""
    state.add(SizeKnown(15_000_000))
    download(state, clock, 20)
    assert lines(state, width=80)[-1] == "20.0MB  1.0MB/s"


def test_nothing_is_foretold_in_the_first_seconds_and_while_nothing_moves(state: State, clock: Clock) -> None:
    """The time left appears when the rate is known, and goes with it."""
    state.add(SizeKnown(61_000_000))
    assert lines(state, width=80)[-1] == "0.0 of 61.0MB"
    download(state, clock, 3)
    assert "left" not in lines(state, width=80)[-1]
    download(state, clock, 1)
    assert "left" in lines(state, width=80)[-1]
    clock.now += 14
    assert "left" in lines(state, width=80)[-1]
    clock.now += 2
    assert lines(state, width=80)[-1] == "4.0 of 61.0MB"


def test_nothing_is_foretold_while_every_image_waits(state: State, clock: Clock) -> None:
    """The only image waits for a registry: after three seconds there is no rate."""
    state.add(SizeKnown(61_000_000))
    download(state, clock, 10)
    state.add(RetryScheduled(NGINX, 1, BUSY, 60))
    clock.now += 3.5
    assert lines(state, width=80)[-1] == "10.0 of 61.0MB"


def test_the_forecast_does_not_jump(state: State, clock: Clock) -> None:
    """A second of five times the rate changes it by little."""
    state.add(SizeKnown(90_000_000))
    download(state, clock, 29)
    before = state.seconds_left(clock.now)
    download(state, clock, 1, rate=5_000_000)
    after = state.seconds_left(clock.now)
    assert before
    assert after
    assert 0.75 < (after + 1) / before < 1


def test_an_ended_image_has_no_row_and_is_counted(state: State) -> None:
    """Rows are images in flight; the last line counts all."""
    state.add(Finished(NGINX, outcome(status=Status.FAILED)))
    (overall,) = lines(state)
    assert "1/3 images  1 failed  2 queued" in overall


def test_layers_are_shown_where_bytes_are_unknown(state: State) -> None:
    """The CLI tells no bytes: its rows count layers."""
    state.add(Progress(NGINX, Phase.DOWNLOADING, layers_done=3, layers=7))
    assert "3/7 layers" in lines(state)[0]
    state.add(Progress(NGINX, Phase.DOWNLOADING, 12_300_000, 40_100_000, 3, 7, counted=12_300_000))
    assert "12.3/40.1MB" in lines(state)[0]
    state.add(Progress(NGINX, Phase.EXTRACTING, 40_100_000, 40_100_000, 3, 7, counted=40_100_000))
    assert "extracting 3/7" in lines(state)[0]


@pytest.mark.parametrize("width", [1, 10, 20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 24])
def test_the_view_fits_its_terminal(state: State, width: int, height: int) -> None:
    """Never more rows than the terminal has; what is hidden is counted."""
    for number in range(30):
        state.add(Started(request(f"registry.example.com/team/project/image-{number}:1.0"), 1))
    state.add(SizeKnown(61_000_000, 3))
    state.add(Progress(NGINX, Phase.DOWNLOADING, 999_900_000, 999_900_000, counted=999_900_000))
    state.add(RetryScheduled(NGINX, 10, BUSY, 600))
    state.add(Paused("registry.example.com", BUSY, 600))
    drawn = lines(state, width, height)
    assert len(drawn) <= height
    if height > 5:
        assert any("more" in line for line in drawn)
    if width >= 20:
        assert max(map(len, drawn)) < width


def test_a_narrow_terminal_keeps_tag_and_time(state: State) -> None:
    """Numbers are whole or left out, and the name is cut in its middle."""
    state.add(Started(service := request("registry.example.com/team/project/service:1.2-alpine"), 1))
    state.add(Progress(service, Phase.DOWNLOADING, 123_400_000, 999_900_000, counted=123_400_000))
    assert lines(state, width=40)[1] == "⠋ r…:1.2-alpine   123.4/999.9MB      0s"
    assert lines(state, width=30)[1] == "⠋ regist…e:1.2-alpine      0s"


def test_a_cut_name_keeps_both_ends() -> None:
    """Registry and tag are what tells images apart; of the two, the tag is kept."""
    assert cut_middle("registry.example.com/team/service:1.2", 17) == "regis…service:1.2"
    assert len(cut_middle("registry.example.com/team/service:1.2", 17, "..")) == 17
    assert cut_middle("nginx", 5) == "nginx"
    assert cut_middle("registry.example.com/team/app:1.30.2-alpine3.19", 24) == "regis…:1.30.2-alpine3.19"


def test_ascii_terminals_get_ascii(state: State) -> None:
    """No mark of the fallback needs more than ASCII."""
    state.add(Progress(NGINX, Phase.DOWNLOADING, 1, 2))
    drawn = [words for line in draw(state, ASCII, 100, 24) for words, _ in line]
    assert "".join([*drawn, *ASCII.marks.values()]).isascii()
