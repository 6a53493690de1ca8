"""A scenario: contenders that take turns at one task, so that a machine that grows slower favours none of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scripts.benchmark.sample import Result, Sample, Standing, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scripts.benchmark.contender import Contender
    from scripts.benchmark.place import Place


_NEARLY = 1.05


@dataclass(frozen=True, slots=True)
class Trial:
    """A scenario whose world stands. The fastest peer, or else the first, is the one that all are compared with."""

    contenders: tuple[Contender, ...]
    run: Callable[[Contender], Sample]
    images: int
    warm_up: bool = True
    """Whether everybody runs once untimed before, so that nobody pays for cold caches."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What can be chosen by name."""

    name: str
    title: str
    build: Callable[[Place], Trial]
    rounds: int = 5
    wanted: tuple[Wanted, ...] = ()
    any_engine: bool = False
    """Whether it needs no engine, so that one table is enough."""


def measure(
    scenario: Scenario,
    place: Place,
    rounds: int,
    chosen: Callable[[Iterable[Contender]], tuple[Contender, ...]] = tuple,
) -> Result:
    """Build the scenario's world, settle on each contender's best settings, and run all rounds; raises WorldError.

    `chosen` says which of the scenario's contenders take part, and may add others. Of several peers only the fastest,
    and those nearly as fast, run in every round: the others stand at the end, with the run by which they were judged.
    """
    trial = scenario.build(place)
    trial = replace(trial, contenders=chosen(trial.contenders))
    load = os.getloadavg()[0]
    peers, others, slower = _settled(trial)
    standings = [*peers, *others]
    for number in range(rounds):
        for standing in standings if number % 2 == 0 else standings[::-1]:
            standing.samples.append(trial.run(standing.contender))
    peers.sort(key=lambda each: each.median)
    return Result(scenario.name, scenario.title, trial.images, load, (*peers, *others, *slower), wanted=scenario.wanted)


def _settled(trial: Trial) -> tuple[list[Standing], list[Standing], list[Standing]]:
    """Try each name's settings once and keep the fastest: peers, others, and the peers that are too slow to go on."""
    settings: dict[str, list[Contender]] = {}
    for contender in trial.contenders:
        settings.setdefault(contender.name, []).append(contender)
    rivals = sum(some[0].peer for some in settings.values()) > 1
    tried = [_fastest(trial, some, always=rivals and some[0].peer) for some in settings.values()]
    others = [each for each in tried if not each.contender.peer]
    peers = sorted((each for each in tried if each.contender.peer), key=lambda each: sum(each.seconds))
    limit = _NEARLY * min((sum(each.seconds) for each in peers), default=0)
    slower = [each for each in peers if sum(each.seconds) > limit]
    peers = peers[: len(peers) - len(slower)]
    for standing in (*peers, *others):
        standing.samples.clear()
    return peers, others, slower


def _fastest(trial: Trial, some: Sequence[Contender], *, always: bool) -> Standing:
    if not (always or trial.warm_up or len(some) > 1):
        return Standing(some[0])
    return min((Standing(each, [trial.run(each)]) for each in some), key=lambda each: each.median)
