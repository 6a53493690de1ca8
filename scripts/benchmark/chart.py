"""The chart: each scenario's contenders as bars, how many times as fast as the first of them each one is."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scripts.benchmark.sample import Result, Standing

_WIDTH, _NAMES, _ROOM = 940, 230, 190
"""Pixels: of the whole, of the names on the left, of the numbers on the right."""
_BAR, _GAP, _HEAD = 16, 6, 30
_LONGEST = _WIDTH - _NAMES - _ROOM
_MINE, _THEIRS = "#2a78b5", "#9aa3ab"
_STYLE = "text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-weight:600}.n{text-anchor:end}"


def chart(results: Sequence[Result]) -> str:
    """Draw an SVG; the longest bar of each scenario is its slowest contender, with a whisker from min to max."""
    drawn: list[str] = []
    y = 0
    for result in results:
        longest = max(max(standing.seconds) for standing in result.standings)
        y += _HEAD
        drawn.append(f'<text class="t" x="10" y="{y - 8}">{escape(_title(result))}</text>')
        for standing in result.standings:
            drawn += _bar(result, standing, y, _LONGEST / longest)
            y += _BAR + _GAP
    size = f'width="{_WIDTH}" height="{y + _GAP}" viewBox="0 0 {_WIDTH} {y + _GAP}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>Seconds, medians; the shorter the better</title><style>{_STYLE}</style>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def _title(result: Result) -> str:
    return f"{result.title}, engine {result.engine}" if result.engine else result.title


def _bar(result: Result, standing: Standing, y: int, pixels: float) -> Iterator[str]:
    """Draw one contender; `pixels` is the length of a second."""
    name, middle, text_y = escape(standing.contender.name), y + _BAR / 2, y + _BAR - 4
    low, high = (_NAMES + pixels * edge(standing.seconds) for edge in (min, max))
    theirs = standing.contender.peer or "docker" in standing.contender.command
    colour = _THEIRS if theirs else _MINE
    words = f"{standing.median:.2f} s"
    if standing is not result.standings[0]:
        words += f", {result.times_as_fast(standing):.1f} times as fast"
    yield f'<text class="n" x="{_NAMES - 8}" y="{text_y}">{name}</text>'
    width = max(1.0, pixels * standing.median)
    yield f'<rect x="{_NAMES}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>'
    yield f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#24292f"/>'
    yield f'<text x="{high + 6:.1f}" y="{text_y}">{escape(words)}</text>'
