"""Results for people (a table) and for programs (JSON)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scripts.benchmark.sample import Result, Standing

_FIELDS = (
    ("client CPU s", "cpu", "{:.2f}"),
    ("engine CPU s", "engine_cpu", "{:.2f}"),
    ("energy", "energy", "{:.2f}"),
    ("client MiB", "peak_mib", "{:.0f}"),
    ("engine MiB", "engine_mib", "{:.0f}"),
    ("twice", "twice", "{:.1f} %"),
    ("disk MiB", "disk_mib", "{:.0f}"),
    ("left MiB", "left_mib", "{:.1f}"),
)
"""Heads, fields of a sample, and how they are written; a column that nobody fills is left out."""
_FIRST_HEADS = ("seconds", "(min-max)", "x as fast", "ms/image")


def table(result: Result) -> str:
    """Show one scenario: a line for each contender, each one's command, and what is wanted beside what was reached."""
    width = max(len(standing.contender.name) for standing in result.standings)
    columns = [each for each in _FIELDS if any(standing.of(each[1]) is not None for standing in result.standings)]
    heads = "".join(f"{head:>14}" for head in (*_FIRST_HEADS, *(head for head, _, _ in columns)))
    engine = f", engine {result.engine}" if result.engine else ""
    lines = [
        f"{result.name}: {result.title}{engine} (load {result.load:.1f}, {result.minutes:.1f} min)",
        f"  {'':{width}}{heads}",
    ]
    for standing in result.standings:
        values = [(standing.of(name), form) for _, name, form in columns]
        cells = (*_first(result, standing), *("" if value is None else form.format(value) for value, form in values))
        lines.append(f"  {standing.contender.name:{width}}" + "".join(f"{cell:>14}" for cell in cells))
    lines += [f"    {standing.contender.name}: {_how(standing)}" for standing in result.standings]
    lines += [f"  {name}: {share:.2f} of the time of the other puller" for name, share in result.pairs()]
    return "\n".join([*lines, *_verdicts(result)])


def _first(result: Result, standing: Standing) -> tuple[str, ...]:
    seconds = standing.seconds
    return (
        f"{standing.median:.2f}",
        f"({min(seconds):.2f}-{max(seconds):.2f})",
        f"{result.times_as_fast(standing):.2f}",
        f"{1000 * standing.median / result.images:.3f}" if result.images else "",
    )


def _how(standing: Standing) -> str:
    rounds = len(standing.samples)
    return f"{standing.contender.words} ({rounds} run{'s' if rounds > 1 else ''})"


def _verdicts(result: Result) -> list[str]:
    verdicts = []
    for wanted in result.wanted:
        value = result.reached(wanted)
        said = "not measured" if value is None else f"{value:.2f}, {'' if wanted.met_by(value) else 'NOT '}reached"
        verdicts.append(f"  wanted of {wanted.contender}: {wanted.words}: {said}")
    return verdicts


def as_json(results: Iterable[Result], world: Mapping[str, Any]) -> str:
    """Write every single run, with what the table makes of them."""
    scenarios = [
        {
            "name": result.name,
            "title": result.title,
            "engine": result.engine,
            "images": result.images,
            "load": result.load,
            "minutes": result.minutes,
            "contenders": [_contender(result, standing) for standing in result.standings],
            "wanted": [
                {**asdict(wanted), "words": wanted.words, "reached": result.reached(wanted)} for wanted in result.wanted
            ],
        }
        for result in results
    ]
    return json.dumps({"schema": "puller.bench/2", **world, "scenarios": scenarios}, indent=2) + "\n"


def _contender(result: Result, standing: Standing) -> dict[str, Any]:
    return {
        "name": standing.contender.name,
        "command": standing.contender.words,
        "engine_downloads": standing.contender.downloads,
        "median": standing.median,
        "times_as_fast": result.times_as_fast(standing),
        "runs": [asdict(sample) | {"energy": sample.energy} for sample in standing.samples],
    }
