"""Results for people (a table) and for programs (JSON)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scripts.benchmark.sample import Result, Standing

_HEADS = ("seconds", "(min-max)", "x as fast", "CPU s", "ms/image", "peak MiB", "twice")


def table(result: Result) -> str:
    """Show one scenario: a line for each contender, and below it each one's command."""
    width = max(len(standing.contender.name) for standing in result.standings)
    heads = "".join(f"{head:>15}" for head in _HEADS)
    lines = [f"{result.name}: {result.title} (load {result.load:.1f})", f"  {'':{width}}{heads}"]
    for standing in result.standings:
        cells = "".join(f"{cell:>15}" for cell in _cells(result, standing))
        lines.append(f"  {standing.contender.name:{width}}{cells}")
    lines += [f"    {standing.contender.name}: {standing.contender.words}" for standing in result.standings]
    lines += [f"  {name}: {share:.2f} of the time of the other puller" for name, share in result.pairs()]
    return "\n".join(lines)


def _cells(result: Result, standing: Standing) -> tuple[str, ...]:
    seconds, twice = standing.seconds, standing.twice
    return (
        f"{standing.median:.2f}",
        f"({min(seconds):.2f}-{max(seconds):.2f})",
        f"{result.times_as_fast(standing):.2f}",
        f"{standing.cpu:.2f}",
        f"{1000 * standing.median / result.images:.3f}" if result.images else "",
        f"{standing.peak_mib:.0f}",
        "" if twice is None else f"{twice:.1f} %",
    )


def as_json(results: Iterable[Result], world: Mapping[str, Any]) -> str:
    """Write every single run, with what the table makes of them."""
    scenarios = [
        {
            "name": result.name,
            "title": result.title,
            "images": result.images,
            "load": result.load,
            "contenders": [_contender(result, standing) for standing in result.standings],
        }
        for result in results
    ]
    return json.dumps({"schema": "puller.bench/1", **world, "scenarios": scenarios}, indent=2) + "\n"


def _contender(result: Result, standing: Standing) -> dict[str, Any]:
    return {
        "name": standing.contender.name,
        "command": standing.contender.words,
        "engine_downloads": standing.contender.downloads,
        "median": standing.median,
        "times_as_fast": result.times_as_fast(standing),
        "runs": [asdict(sample) for sample in standing.samples],
    }
