"""Waves: which hosts begin, when, and what halts them."""

from collections.abc import Mapping, Sequence

import pytest

from puller.fleet.waves import Waves, WaveSize, parse_waves
from puller.model.hosts import HostState
from puller.settings import FailureLimit

DONE, FAILED, UNREACHABLE = HostState.DONE, HostState.FAILED, HostState.UNREACHABLE
TEN = [f"h{number}" for number in range(10)]


def play(waves: Waves, ends: Mapping[str, HostState] | None = None, parallel: int = 100) -> list[list[str]]:
    """Let hosts begin as long as they may, `parallel` at once; return them by wave."""
    begun: dict[int, list[str]] = {}
    running: list[str] = []
    while not waves.over:
        while len(running) < parallel and (name := waves.take()):
            begun.setdefault(waves.number, []).append(name)
            running.append(name)
        name = running.pop(0)
        waves.ended(name, (ends or {}).get(name, DONE))
    return [begun[number] for number in sorted(begun)]


@pytest.mark.parametrize(
    ("text", "canaries", "sizes"),
    [
        ("", 0, [10]),
        ("", 1, [1, 9]),
        ("10%", 0, [1] * 10),
        ("4", 0, [4, 4, 2]),
        ("1,50%", 2, [2, 1, 5, 2]),
        ("1,2,3", 0, [1, 2, 3, 3, 1]),
        ("100%", 3, [3, 7]),
    ],
)
def test_sizes_of_waves(text: str, canaries: int, sizes: Sequence[int]) -> None:
    """Percentages are of all hosts, and the last size is repeated; the number of waves is known from the start."""
    waves = Waves(TEN, canaries=canaries, sizes=parse_waves(text) if text else ())
    last = waves.last
    begun = play(waves)
    assert [len(wave) for wave in begun] == sizes
    assert [name for wave in begun for name in wave] == TEN
    assert last == len(sizes) - bool(canaries)


def test_a_wave_begins_when_the_one_before_has_settled() -> None:
    """One slow host keeps the next wave from beginning, and no host of its own."""
    waves = Waves(TEN, sizes=parse_waves("3"))
    assert [waves.take() for _ in range(4)] == ["h0", "h1", "h2", None]
    waves.ended("h0", DONE)
    waves.ended("h2", FAILED)
    assert waves.take() is None
    waves.ended("h1", DONE)
    assert waves.take() == "h3"


def test_a_failed_canary_halts_the_run() -> None:
    """No other host begins, not even another canary that has not begun."""
    waves = Waves(TEN, canaries=2)
    assert play(waves, {"h0": FAILED}, parallel=1) == [["h0"]]
    assert waves.halted == "the canary h0 failed"


def test_a_canary_that_cannot_be_reached_is_replaced() -> None:
    """It has proved nothing."""
    waves = Waves(TEN, canaries=2)
    assert play(waves, {"h0": UNREACHABLE, "h2": UNREACHABLE}) == [["h0", "h1", "h2", "h3"], TEN[4:]]
    assert not waves.halted


def test_an_unreachable_canary_is_a_failed_one_if_strict() -> None:
    """`--strict`."""
    waves = Waves(TEN, canaries=1, strict=True)
    assert play(waves, {"h0": UNREACHABLE}) == [["h0"]]
    assert waves.halted == "the canary h0 could not be reached"


def test_more_failed_hosts_than_the_limit_halt_the_run() -> None:
    """25% of ten hosts: two may fail, and at the third no other begins."""
    waves = Waves(TEN, max_fail=FailureLimit.parse("25%"))
    ends = {"h1": FAILED, "h2": UNREACHABLE, "h3": FAILED, "h5": FAILED}
    assert play(waves, ends, parallel=2) == [TEN[:7]]  # h6 had begun beside h5
    assert waves.halted == "3 of 10 hosts failed: h1, h3, h5"


def test_the_last_host_halts_nothing() -> None:
    """There is no host left that could have begun."""
    waves = Waves(TEN, max_fail=FailureLimit(0))
    play(waves, {"h9": FAILED})
    assert not waves.halted


@pytest.mark.parametrize("text", ["", "0", "-1", "101%", "x", "1,,2", "1.5", "٣", "9999999"])
def test_bad_sizes_are_refused(text: str) -> None:
    """With a message that shows what is right."""
    with pytest.raises(ValueError, match="such as 5, or a share such as 10%"):
        parse_waves(text)


def test_a_small_share_is_one_host() -> None:
    """A wave of no host would never end."""
    assert WaveSize(1, percent=True).of(3) == 1
