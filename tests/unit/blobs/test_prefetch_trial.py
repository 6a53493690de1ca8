"""When puller's downloads from a registry are taken instead of the engine's: only if they are seen to be faster."""

from collections.abc import Iterable

import pytest

from puller.blobs.prefetch_trial import RegistryTrial, Traffic

MB = 1_000_000
TICK = 0.1


def judged(
    engine: float,
    puller: Iterable[float],
    during: float = 0.0,
    errors: int = 0,
    connections: int = 8,
    *,
    limited: bool = False,
) -> tuple[RegistryTrial, float]:
    """Try a registry with so many MB a second, by the engine before and meanwhile, and by puller in each tick."""
    trial, now, received, own = RegistryTrial(engine * MB), 100.0, 0.0, 0.0
    trial.update(now, Traffic(), 0)
    for rate in puller:
        now += TICK
        received += rate * MB * TICK
        own += during * MB * TICK
        trial.update(now, Traffic(round(received), connections, errors, limited), round(own))
        if trial.over:
            break
    return trial, now - 100


def test_a_registry_that_is_faster_for_puller_is_taken_over_soon() -> None:
    """Three tenths of a second after the first byte."""
    trial, seconds = judged(6, [0, 0, *[16] * 10])
    assert trial.passed
    assert seconds <= 0.7


def test_a_registry_that_is_much_faster_for_puller_is_taken_over_at_once() -> None:
    """What the engine receives meanwhile would be lost."""
    trial, seconds = judged(6, [0, 20], during=6)
    assert trial.passed
    assert seconds <= 0.35


@pytest.mark.parametrize(("rate", "passed"), [(30, True), (20, False)])
def test_bytes_that_came_before_the_trial_are_not_compared(rate: int, passed: bool) -> None:
    """The engine has received some all along, and puller since it began to prefetch."""
    trial = RegistryTrial(24 * MB)
    for tick in range(14):
        own = 3 * MB + round(rate * MB * TICK * tick)
        trial.update(100 + TICK * tick, Traffic(own, 8), 15 * MB + round(24 * MB * TICK * tick))
        if trial.over:
            break
    assert trial.passed is passed
    assert tick * TICK <= (0.4 if passed else 1.3)


def test_connections_may_grow_meanwhile() -> None:
    """A long way makes them slow in the beginning."""
    trial, _ = judged(6, [0.5, 1, 2, 4, 8, 16, 32, 32, 32, 32, 32])
    assert trial.passed


@pytest.mark.parametrize(
    ("rates", "conditions", "why"),
    [
        pytest.param([0] * 40, {}, "sends nothing", id="held open without a byte"),
        pytest.param([0] * 40, {"errors": 1}, "request failed", id="refused"),
        pytest.param([16] * 40, {"errors": 1}, "request failed", id="partly refused"),
        pytest.param([0] * 40, {"limited": True}, "request failed", id="a rate limit"),
        pytest.param([5] * 40, {}, "as fast", id="a wire that all connections share"),
        pytest.param([5] * 40, {"engine": 0, "during": 6}, "as fast", id="an engine that became faster"),
        pytest.param([0.01, *[0] * 40], {"engine": 0}, "as fast", id="one byte and no more"),
    ],
)
def test_any_other_is_left_to_the_engine_soon(rates: list[float], conditions: dict[str, float], why: str) -> None:
    """Within two seconds, in which its pulls have gone on."""
    trial, seconds = judged(**{"engine": 6, "puller": rates, **conditions})  # type: ignore[arg-type]
    assert not trial.passed
    assert why in trial.failure
    assert seconds <= 2.2


def test_nothing_is_concluded_before_a_request() -> None:
    """Where look-ups take long, or all connections are at other registries; but not without an end."""
    trial, _ = judged(6, [0] * 90, connections=0)
    assert not trial.over
    trial, seconds = judged(6, [0] * 200, connections=0)
    assert "nothing to download" in trial.failure
    assert seconds <= 11


def test_nothing_is_concluded_from_little_work() -> None:
    """What was asked for has come, and no more is needed now; the next download decides."""
    trial, now = RegistryTrial(6 * MB), 100.0
    trial.update(now, Traffic(), 0)
    for tick in range(90):
        now += TICK
        trial.update(now, Traffic(100_000, 2 if tick < 3 else 0), 0)
    assert not trial.over
    for tick in range(5):
        now += TICK
        trial.update(now, Traffic(100_000 + 2 * MB * tick, 8), 0)
    assert trial.passed


def taken_over() -> RegistryTrial:
    """Make a trial that passed in its first second."""
    trial, _ = judged(6, [16] * 10)
    assert trial.passed
    return trial


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (Traffic(16 * MB, 8), "sends nothing any more"),
        (Traffic(16 * MB, 0, limited=True), "sends nothing any more"),
        (Traffic(16 * MB, 0, 30), "requests fail"),
    ],
    ids=["silence", "a rate limit", "failures"],
)
def test_a_registry_that_stops_to_serve_puller_is_left_to_the_engine(later: Traffic, why: str) -> None:
    """Also after it has been faster."""
    trial = taken_over()
    trial.update(101, Traffic(16 * MB, 8), 0)
    for tick in range(120):
        trial.update(101.1 + tick * TICK, later, 0)
    assert why in trial.failure


def test_a_registry_without_work_is_not_silent() -> None:
    """Nothing is to be downloaded while the engine unpacks; single failures between bytes are no reason either."""
    trial = taken_over()
    for tick in range(300):
        trial.update(101 + tick * TICK, Traffic(16 * MB, 0), 0)
    for tick in range(300):
        trial.update(131 + tick * TICK, Traffic((17 + tick) * MB, 8, tick), 0)
    assert trial.passed
    assert not trial.failure


def later(rates: Iterable[tuple[float, int]], *, connections: int = 3) -> tuple[RegistryTrial, float]:
    """Go on after a trial, in which the engine had 6 MB/s; each tick has puller's MB a second and its connections."""
    trial, now, received = RegistryTrial(6 * MB, connections), 100.0, 0.0
    trial.update(now, Traffic(), 0)
    for _ in range(10):
        now += TICK
        received += 16 * MB * TICK
        trial.update(now, Traffic(round(received), 8), 0)
    assert trial.passed
    began = now
    for rate, busy in rates:
        now += TICK
        received += rate * MB * TICK
        trial.update(now, Traffic(round(received), busy), 0)
        if trial.failure:
            break
    return trial, now - began


@pytest.mark.parametrize("rate", [0.0, 0.04, 1.0, 2.5], ids="{}MB/s".format)
def test_a_registry_that_becomes_slow_for_puller_is_given_back_within_three_seconds(rate: float) -> None:
    """A registry may limit one client only: the engine had 6 MB/s, and gets the registry back for good."""
    trial, seconds = later([(rate, 24)] * 100)
    assert trial.failure
    assert seconds <= 4.0
    trial.update(200, Traffic(900 * MB, 24), 0)
    assert trial.failure


@pytest.mark.parametrize(
    "rates",
    [
        pytest.param([(3.5, 24)] * 100, id="a wire that became a little slower"),
        pytest.param(([(0.5, 24)] * 15 + [(16, 24)] * 15) * 5, id="a short while"),
        pytest.param([(1.8, 1)] * 100, id="the last connection of three"),
        pytest.param(([(1, 8)] * 5 + [(0, 0)] * 5) * 20, id="little to download while the engine unpacks"),
    ],
)
def test_a_registry_is_not_given_back_for_less(rates: list[tuple[float, int]]) -> None:
    """What puller has downloaded of layers would be lost."""
    assert not later(rates)[0].failure


@pytest.mark.parametrize("passed", [False, True])
def test_a_registry_that_sends_wrong_content_is_left_after_two_blobs(passed: bool) -> None:
    """Each of them is downloaded up to three times; one may be damaged at the registry."""
    trial = taken_over() if passed else RegistryTrial(6 * MB)
    trial.update(101, Traffic(17 * MB, 8, wrong=1), 0)
    assert not trial.failure
    trial.update(101.1, Traffic(18 * MB, 8, wrong=2), 0)
    assert "wrong content" in trial.failure
