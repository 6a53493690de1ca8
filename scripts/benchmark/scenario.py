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

    `chosen` says which of the scenario's contenders take part, and may add others. Of several peers only the fastest
    runs in every round: the others stand at the end, with the run by which they were judged.
    """
    trial = scenario.build(place)
    trial = replace(trial, contenders=chosen(trial.contenders))
    load = os.getloadavg()[0]
    standings, slower = _settled(trial)
    for number in range(rounds):
        for standing in standings if number % 2 == 0 else standings[::-1]:
            standing.samples.append(trial.run(standing.contender))
    return Result(scenario.name, scenario.title, trial.images, load, (*standings, *slower), wanted=scenario.wanted)


def _settled(trial: Trial) -> tuple[list[Standing], list[Standing]]:
    """Try each name's settings once and keep the fastest: those of all rounds, and the peers that are slower."""
    settings: dict[str, list[Contender]] = {}
    for contender in trial.contenders:
        settings.setdefault(contender.name, []).append(contender)
    rivals = sum(some[0].peer for some in settings.values()) > 1
    tried = [_fastest(trial, some, always=rivals and some[0].peer) for some in settings.values()]
    peers = sorted((each for each in tried if each.contender.peer), key=lambda each: sum(each.seconds))
    standings = [*peers[:1], *(each for each in tried if not each.contender.peer)]
    for standing in standings:
        standing.samples.clear()
    return standings, peers[1:]


def _fastest(trial: Trial, some: Sequence[Contender], *, always: bool) -> Standing:
    if not (always or trial.warm_up or len(some) > 1):
        return Standing(some[0])
    return min((Standing(each, [trial.run(each)]) for each in some), key=lambda each: each.median)
