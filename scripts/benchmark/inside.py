"""Without engine and registry: what puller itself costs for a hundred thousand images, and for none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scripts.benchmark.contender import LIST, Contender
from scripts.benchmark.scenario import Scenario, Trial

if TYPE_CHECKING:
    from scripts.benchmark.place import Place


def scenarios() -> tuple[Scenario, ...]:
    """All of them."""
    return (
        Scenario("lines", "100,000 lines through `puller list`", _lines, 3, any_engine=True),
        Scenario(
            "orchestration",
            "100,000 images through the orchestrator, with an instant backend",
            _orchestration,
            3,
            any_engine=True,
        ),
        Scenario("start", "`puller --version` beside `import click`", _start, 9, any_engine=True),
    )


def _references(place: Place) -> list[str]:
    return [f"registry{n % 50}.example/team{n % 100}/app{n}:v1" for n in range(1000 if place.quick else 100_000)]


def _trial(place: Place, references: list[str], *contenders: Contender) -> Trial:
    names = place.names(references)
    return Trial(contenders, lambda contender: place.run(contender, names), len(references), warm_up=False)


def _lines(place: Place) -> Trial:
    return _trial(place, _references(place), place.contenders.verb("list", LIST))


def _orchestration(place: Place) -> Trial:
    command = (sys.executable, "-m", "scripts.benchmark.instant", LIST)
    return _trial(place, _references(place), Contender("orchestrator", command))


def _start(place: Place) -> Trial:
    click = Contender("import click", (sys.executable, "-c", "import click"))
    return _trial(place, [], click, place.contenders.verb("--version", name="puller --version"))
