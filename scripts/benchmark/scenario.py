"""A scenario: contenders that take turns at one task, so that a machine that grows slower favours none of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scripts.benchmark.sample import Result, Sample, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scripts.benchmark.contender import Contender
    from scripts.benchmark.place import Place


@dataclass(frozen=True, slots=True)
class Trial:
    """A scenario whose world stands. The first contender is the one with which the others are compared."""

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


def measure(
    scenario: Scenario,
    place: Place,
    rounds: int,
    chosen: Callable[[Iterable[Contender]], tuple[Contender, ...]] = tuple,
) -> Result:
    """Build the scenario's world, settle on each peer's best settings, and run all rounds; raises WorldError.

    `chosen` says which of the scenario's contenders take part, and may add others.
    """
    trial = scenario.build(place)
    trial = replace(trial, contenders=chosen(trial.contenders))
    standings = [Standing(contender) for contender in _best(trial)]
    load = os.getloadavg()[0]
    for number in range(rounds):
        for standing in standings if number % 2 == 0 else standings[::-1]:
            standing.samples.append(trial.run(standing.contender))
    return Result(scenario.name, scenario.title, trial.images, load, tuple(standings))


def _best(trial: Trial) -> Sequence[Contender]:
    """Try each name's settings once, where there are several, and keep the fastest."""
    settings: dict[str, list[Contender]] = {}
    for contender in trial.contenders:
        settings.setdefault(contender.name, []).append(contender)
    best = []
    for some in settings.values():
        tried = {place: trial.run(each).seconds for place, each in enumerate(some) if trial.warm_up or len(some) > 1}
        best.append(some[min(tried, key=lambda place: tried[place], default=0)])
    return best
