"""When the network counts as slow: what is measured, and what is left alone."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest

from puller.blobs.network_monitor import TICK, NetworkMonitor, processor_times
from puller.events import Phase, Progress
from puller.image.reference import ImageReference
from puller.model import PullRequest
from puller.settings import PrefetchSettings

MB = 1_000_000
ONE, OTHER = (PullRequest(ImageReference.parse(name)) for name in ("app", "quay.io/other"))
SIZE = 2000 * MB
IDLE, BUSY = 0.2, 1.0
ANY = PrefetchSettings()


class Run:
    """An engine with one layer of three in flight, and a clock of its own."""

    def __init__(self, settings: PrefetchSettings = ANY, size: int = SIZE, waiting: int = 0) -> None:
        self.monitor, self.waiting = NetworkMonitor(settings), waiting
        self.now = self.worked = 0.0
        self.done = 0
        self.size = size

    def passes(
        self, seconds: float, rate: float, *, busy: float = IDLE, other: Phase | None = None, layers: int = 3
    ) -> list[float]:
        """Let time pass; return the moments in which the network counts as slow."""
        slow = []
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            self.worked += TICK * busy
            self.done = min(self.done + round(rate * MB * TICK), self.size)
            each = {f"{number:012}": self.done // layers for number in range(layers)}
            if other:
                self.monitor.update(Progress(OTHER, other))
            self.monitor.update(Progress(ONE, Phase.DOWNLOADING, self.done, self.size, layers=layers, of_layers=each))
            times = round(self.worked * 1000), round(self.now * 1000)
            if self.monitor.sample(self.now, times, self.waiting):
                slow.append(round(self.now, 1))
        return slow


@pytest.mark.parametrize(
    ("rate", "conditions", "slow"),
    [
        pytest.param(6, {}, True, id="a slow wire"),
        pytest.param(24, {}, True, id="8 MB/s on each of three connections"),
        pytest.param(100, {}, False, id="a fast wire"),
        pytest.param(24, {"busy": BUSY}, False, id="processors that prefetching would take from others"),
        pytest.param(6, {"busy": BUSY}, True, id="a wire so slow that busy processors do not matter"),
        pytest.param(12, {"busy": BUSY, "other": Phase.EXTRACTING}, False, id="an engine that unpacks all the time"),
        pytest.param(6, {"other": Phase.EXTRACTING}, True, id="a wire that is slow while little is unpacked"),
    ],
)
def test_a_slow_network_is_found_within_a_second(rate: int, conditions: dict[str, float], slow: bool) -> None:
    """Few bytes while the processors are idle are the sign; few bytes because of the unpacking are not."""
    found = Run().passes(10, rate, **conditions)  # type: ignore[arg-type]
    assert bool(found) == slow
    assert all(moment <= (2 if conditions else 1) for moment in found[:1])


@pytest.mark.parametrize("seed", range(40))
def test_an_engine_that_waits_for_processors_is_no_slow_network(seed: int) -> None:
    """It receives nothing for up to half a second, and then much at once: the registry is fast."""
    chance, run = Random(seed), Run(size=100_000 * MB)
    for _ in range(20):
        assert run.passes(TICK * chance.randrange(1, 6), chance.uniform(0, 12), busy=BUSY) == []
        assert run.passes(TICK * chance.randrange(1, 3), 120, busy=BUSY) == []


def test_a_very_slow_wire_is_found_whatever_else_the_machine_does() -> None:
    """No engine unpacks so slowly for so long: other programs keep the processors busy."""
    found = Run().passes(5, 6, busy=BUSY, other=Phase.EXTRACTING)
    assert found
    assert found[0] <= 2


@pytest.mark.parametrize("seed", range(40))
def test_a_slow_wire_is_found_however_it_begins(seed: int) -> None:
    """Late first bytes, connections that grow, pauses of this process, other work: it takes two seconds at most."""
    chance = Random(seed)
    run = Run()
    rate, busy = chance.uniform(2, 9), chance.choice([IDLE, 0.6, BUSY])
    for step in range(chance.randrange(4)):
        run.passes(TICK * chance.randrange(1, 6), rate * 2**step / 8, busy=busy)
    began = run.now
    found: list[float] = []
    while not found and run.now - began < 5:
        other = chance.choice([None, Phase.EXTRACTING])
        found = run.passes(TICK * chance.randrange(1, 4), rate * chance.uniform(0.7, 1.3), busy=busy, other=other)
        run.now += chance.choice([0, 0, 0, TICK, 3 * TICK])
    assert found
    assert found[0] - began <= 2.5


def test_a_wire_that_changes_is_measured_all_the_time() -> None:
    """It is slow soon after it became so, and no longer once it is fast again."""
    run = Run(size=100_000 * MB)
    assert run.passes(5, 90) == []
    slow = run.passes(5, 6)
    assert slow[0] <= 6
    assert [moment for moment in run.passes(5, 90) if moment > 11] == []


@pytest.mark.parametrize(
    ("settings", "rate", "layers", "slow"),
    [
        (PrefetchSettings(connections=4), 6, 3, False),
        (PrefetchSettings(per_registry=5), 6, 3, False),
        (PrefetchSettings(connections=6), 6, 3, True),
        (PrefetchSettings(bandwidth=8 * MB), 6, 3, False),
        (PrefetchSettings(bandwidth=50 * MB), 6, 3, True),
        (PrefetchSettings(), 6, 30, False),
    ],
)
def test_nothing_begins_that_could_not_be_faster(
    settings: PrefetchSettings, rate: int, layers: int, slow: bool
) -> None:
    """With few connections allowed, little bandwidth, or an engine that has many connections itself."""
    assert bool(Run(settings).passes(3, rate, layers=layers)) == slow


def test_connections_may_grow_first() -> None:
    """A network with a long way is slow in its first moments (TCP's slow start), and fast later."""
    run = Run()
    assert [run.passes(TICK, rate) for rate in (0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51, 90, 90, 90)] == [[]] * 11


def test_the_end_of_a_run_is_left_alone() -> None:
    """What remains takes as long as starting to prefetch; with other images to come it would not."""
    assert not Run(size=15 * MB).passes(2, 6)
    assert Run(size=15 * MB, waiting=1).passes(2, 6)


def test_little_is_left_alone() -> None:
    """A few small images that come slowly are a sign of processors that have other work."""
    assert not Run(size=MB, waiting=2).passes(3, 0.1)
    assert Run(size=MB, waiting=5).passes(3, 0.1)


def test_nothing_is_made_of_a_run_without_bytes() -> None:
    """An engine that has all layers, or tells no bytes, is left alone."""
    assert not Run().passes(10, 0)


def test_an_engine_that_tells_only_each_megabyte() -> None:
    """On a slow wire a second may pass in silence; nothing is made of it if no layer is incomplete."""
    run = Run()
    assert run.passes(TICK, 3 * MB / TICK / MB) == []
    assert run.passes(2, 0)
    run = Run(size=3 * MB)
    assert run.passes(3, 100) == []


@pytest.mark.parametrize(
    ("progress", "worth"),
    [
        (Progress(ONE, Phase.DOWNLOADING, 70, 100), True),
        (Progress(ONE, Phase.DOWNLOADING, 81, 100, layers=1, of_layers={"a": 81}), False),
        (Progress(ONE, Phase.DOWNLOADING, 81, 100, layers=2, of_layers={"a": 81}), True),
        (Progress(ONE, Phase.EXTRACTING, 100, 100), False),
        (Progress(ONE, Phase.WAITING), True),
    ],
    ids=["much to come", "nearly complete", "another layer to come", "unpacking", "waiting"],
)
def test_a_pull_that_is_nearly_complete_is_not_broken_off(progress: Progress, worth: bool) -> None:
    """Its bytes would be lost."""
    monitor = NetworkMonitor(PrefetchSettings())
    monitor.update(progress)
    assert monitor.worth_cancelling(ONE) == worth


def test_a_pull_that_ends_soon_is_not_broken_off() -> None:
    """At the rate of the last moments, which all pulls share."""
    run = Run(size=30 * MB)
    run.passes(1, 12)
    assert [run.monitor.worth_cancelling(ONE, seconds) for seconds in (1, 2)] == [True, False]
    run = Run(size=300 * MB)
    run.passes(1, 12)
    assert run.monitor.worth_cancelling(ONE, 2)


def test_the_processors_of_this_machine_are_measured() -> None:
    """They do not work more than time passes."""

    def grow(values: Sequence[tuple[int, int]]) -> bool:
        return all(
            now >= before for earlier, later in pairwise(values) for before, now in zip(earlier, later, strict=True)
        )

    times = [processor_times() for _ in range(3)]
    assert grow(times)
    assert all(0 < worked < passed for worked, passed in times)
