"""The clocks of an attempt, with a clock that the test turns."""

import threading

import pytest

from puller.engine.timeouts import AttemptTimer, LastActivity, shares_downloads
from puller.errors import EngineError, FailureKind
from puller.events import Phase
from puller.settings import Timeouts


class Hands:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        """Say what time it is."""
        return self.time


@pytest.fixture
def hands() -> Hands:
    """Wind the clock."""
    return Hands()


CLOCKS = Timeouts(attempt=None, stall=120, unpack=1800)


def kind_of(watch: AttemptTimer) -> FailureKind | None:
    """Say as what the attempt is over, if it is."""
    error = watch.expired()
    return error.kind if error else None


def test_silence_from_the_beginning_is_a_stall(hands: Hands) -> None:
    """The limit is not over a moment before its time."""
    watch = AttemptTimer(CLOCKS, LastActivity(), now=hands)
    hands.time += 119.9
    watch.check()
    assert watch.expired() is watch.failure is None
    hands.time += 0.1
    with pytest.raises(EngineError) as caught:
        watch.check()
    assert (caught.value.kind, caught.value.message) == (
        FailureKind.STALLED,
        "stalled: no progress for 2m00s while resolving",
    )


def test_each_change_begins_the_silence_anew(hands: Hands) -> None:
    """Something every 100 seconds is enough, for hours."""
    watch = AttemptTimer(CLOCKS, LastActivity(), now=hands)
    for step in range(100):
        hands.time += 100
        watch.check()
        watch.moved(Phase.DOWNLOADING, step, 100)
    hands.time += 120
    error = watch.expired()
    assert error is not None
    assert error.message == "stalled: no progress for 2m00s while downloading (99B/100B)"


@pytest.mark.parametrize(
    ("phase", "coarse", "limit"),
    [
        (Phase.RESOLVING, False, 120),
        (Phase.RESOLVING, True, 120),
        (Phase.WAITING, False, 120),
        (Phase.WAITING, True, 1800),
        (Phase.DOWNLOADING, False, 120),
        (Phase.DOWNLOADING, True, 1800),
        (Phase.EXTRACTING, False, 1800),
        (Phase.EXTRACTING, True, 1800),
    ],
)
def test_each_phase_has_its_limit(hands: Hands, phase: Phase, coarse: bool, limit: float) -> None:
    """Unpacking has the generous one, and so has the download of a program that tells no bytes."""
    watch = AttemptTimer(CLOCKS, LastActivity(), coarse=coarse, now=hands)
    watch.moved(phase)
    hands.time += limit - 0.1
    assert kind_of(watch) is None
    hands.time += 0.1
    assert kind_of(watch) is FailureKind.STALLED


def test_an_attempt_ends_whatever_moves(hands: Hands) -> None:
    """The attempt's own limit does not care for changes, and is another kind of failure."""
    watch = AttemptTimer(Timeouts(attempt=300, stall=120, unpack=1800), LastActivity(), now=hands)
    hands.time += 250
    watch.moved(Phase.DOWNLOADING)
    assert watch.interval == 50
    hands.time += 50
    watch.moved(Phase.DOWNLOADING)
    error = watch.expired()
    assert error is not None
    assert (error.kind, error.message) == (FailureKind.TIMEOUT, "not done within 300s")


def test_what_is_over_stays_over(hands: Hands) -> None:
    """The reason why a pull was broken off is not taken back by what comes in the same moment."""
    watch = AttemptTimer(CLOCKS, LastActivity(), now=hands)
    hands.time += 120
    error = watch.expired()
    watch.moved(Phase.DOWNLOADING)
    assert watch.expired() is watch.failure is error is not None


def test_without_limits_there_is_no_end(hands: Hands) -> None:
    """None is for ever; nobody need look."""
    watch = AttemptTimer(Timeouts(attempt=None, stall=None, unpack=None), LastActivity(), now=hands)
    hands.time += 1e9
    assert (watch.interval, watch.expired()) == (None, None)
    only_unpack = AttemptTimer(Timeouts(attempt=None, stall=None, unpack=10), LastActivity(), now=hands)
    assert only_unpack.interval == 10


def test_who_queues_waits_for_the_others(hands: Hands) -> None:
    """While other images move, waiting is no silence; when they stand still, or are gone, it is."""
    pulse = LastActivity()
    queued, other = AttemptTimer(CLOCKS, pulse, now=hands), AttemptTimer(CLOCKS, pulse, now=hands)
    queued.moved(Phase.WAITING)
    for _ in range(10):
        hands.time += 100
        other.moved(Phase.DOWNLOADING)
    hands.time += 119.9
    assert kind_of(queued) is None
    hands.time += 0.1
    assert kind_of(queued) is kind_of(other) is FailureKind.STALLED


def test_who_does_not_queue_does_not_care_for_the_others(hands: Hands) -> None:
    """A hung download is hung, however well the others come along."""
    pulse = LastActivity()
    hung, other = AttemptTimer(CLOCKS, pulse, now=hands), AttemptTimer(CLOCKS, pulse, now=hands)
    hung.moved(Phase.DOWNLOADING)
    hands.time += 120
    other.moved(Phase.DOWNLOADING)
    assert kind_of(hung) is FailureKind.STALLED


def test_a_nap_is_never_too_long(hands: Hands) -> None:
    """Whatever changes meanwhile, no limit can pass by while one sleeps: from unpacking it may go back to less."""
    watch = AttemptTimer(CLOCKS, LastActivity(), now=hands)
    watch.moved(Phase.EXTRACTING)
    assert watch.interval == 120
    hands.time += 1750
    assert watch.interval == 50


def test_a_guard_breaks_off_what_is_over() -> None:
    """From another thread, once; and it is gone with the block."""
    watch, over = AttemptTimer(Timeouts(attempt=0.05, stall=None), LastActivity()), threading.Event()
    before = threading.active_count()
    with watch.aborting(over.set):
        assert over.wait(20)
    assert watch.failure is not None
    assert threading.active_count() == before


def test_a_guard_lets_be_what_is_not() -> None:
    """A block that ends in time is not broken off, and nobody is waited for."""
    watch, over = AttemptTimer(CLOCKS, LastActivity()), threading.Event()
    before = threading.active_count()
    with watch.aborting(over.set):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    with AttemptTimer(Timeouts(None, None, None), LastActivity()).aborting(over.set):
        assert threading.active_count() == before
    assert not over.is_set()


def test_a_silent_pull_is_queued_while_others_move(hands: Hands) -> None:
    """Where the engine's slots are shared: its clock stands, until no pull has moved for the limit."""
    engine = LastActivity(shared=True)
    silent, other = (AttemptTimer(CLOCKS, engine, now=hands) for _ in range(2))
    for step in range(10):
        hands.time += 100
        other.moved(Phase.DOWNLOADING, step, 100)
        assert (silent.queued, other.queued, silent.expired()) == (True, False, None)
    hands.time += 119.9
    assert (silent.queued, silent.expired()) == (True, None)
    hands.time += 0.1
    assert (silent.queued, kind_of(silent), kind_of(other)) == (False, FailureKind.STALLED, FailureKind.STALLED)


@pytest.mark.parametrize("shared", [True, False])
def test_a_transfer_that_stops_is_not_queued(hands: Hands, *, shared: bool) -> None:
    """A layer in transfer has a slot, and on an engine with slots for each pull nobody waits for another."""
    engine = LastActivity(shared=shared)
    stopped, other = (AttemptTimer(CLOCKS, engine, now=hands) for _ in range(2))
    stopped.moved(Phase.DOWNLOADING, 5, 100, idle=not shared)
    hands.time += 120
    other.moved(Phase.DOWNLOADING, 5, 100)
    assert (stopped.queued, kind_of(stopped)) == (False, FailureKind.STALLED)


@pytest.mark.parametrize(
    ("version", "shared"),
    [
        ("29.7.2", True),
        ("30.0.0-rc.1", True),
        ("28.5.2", False),
        ("20.10.24+dfsg1", False),
        ("dev", False),
        ("", False),
    ],
)
def test_engines_share_their_slots_since_29(version: str, *, shared: bool) -> None:
    """An unknown version is taken as an older one."""
    assert shares_downloads(version) is shared
