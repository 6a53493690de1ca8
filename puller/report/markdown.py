"""The Markdown report: for the summary of a GitHub Actions step, a merge request, a chat."""

import re
from collections.abc import Iterator

from puller.failure import Failure
from puller.model import PullOutcome, Report
from puller.report.words import by_failure, cancelled, mirrors, name, verdict, words
from puller.text import clean, format_seconds, timestamp

LARGEST = 1024 * 1024
"""Bytes that GitHub takes as the summary of a step; of a larger one it shows nothing."""
_FOLDED = 20
"""Rows from which on a table is folded away."""
_NAMED = 100
"""Images named under one cause; the table has them all."""
_ROOM = 512
"""Bytes kept for what stands around the table."""
_PLAIN = re.compile(r"[\w./:@-]+(?: \([\w./-]+\))?", re.ASCII)
"""A name that means nothing else inside a code span, in a table, too."""
# Neither structure nor HTML, no mention, link, mathematics or emoji can be made of what is left.
_SPECIAL = re.compile(r"[^\w\s.,;'\"()/?%=+:-]|:(?=//)|(?<=www)\.|_", re.IGNORECASE)
_HEADER = "| status | image | digest | attempts | time |\n| --- | --- | --- | ---: | ---: |"


def render(report: Report, *, limit: int = LARGEST) -> str:
    """Write the verdict, what failed and why, and a table; of what does not fit into `limit` bytes, only the number."""
    head = "\n\n".join(_verdict(report))
    failures = _fitting([*_failures(report)], limit // 2 - _size(head), "causes")
    top = "\n\n".join([head, *failures])
    rows = _fitting([*map(_row, report.outcomes)], limit - _size(top) - _ROOM, "images")
    return f"{top}\n\n{_table(rows)}\n" if report.outcomes and rows else f"{top}\n"


def _verdict(report: Report) -> Iterator[str]:
    yield f"### puller: {verdict(report.outcomes)}"
    if report.outcomes:
        parts = ", ".join(f"{number} {words(status)}" for status, number in report.counts.items() if number)
        yield f"{parts} in {format_seconds(report.seconds)}"
    if report.stopped:
        yield f"**Stopped:** {escape(report.stopped)}"
    yield from map(escape, mirrors(report.outcomes))
    for reason, number in cancelled(report.outcomes).items():
        yield f"**Cancelled:** {number} {'image' if number == 1 else 'images'} ({escape(reason)})"


def _failures(report: Report) -> Iterator[str]:
    for why, outcomes in by_failure(report.failed).items():
        names = [f"- **failed:** {_code(name(outcome))}" for outcome in outcomes[:_NAMED]]
        if len(outcomes) > _NAMED:
            names.append(f"- … and {len(outcomes) - _NAMED} more")
        yield "\n".join(names) + (f"\n\n{_cause(why)}" if why else "")


def _cause(why: Failure) -> str:
    until = f" It will pass at {timestamp(why.until)}." if why.until else ""
    return f"`{why.kind}`: {escape(why.message)}\n\n→ {escape(why.advice)}{until}"


def _row(outcome: PullOutcome) -> str:
    digest = clean(outcome.digest or "").partition(":")[2][:12]
    cells = (
        words(outcome.status) if outcome.ok else f"**{words(outcome.status)}**",
        _code(name(outcome)),
        _code(digest) if digest else "",
        str(len(outcome.attempts)),
        format_seconds(outcome.seconds),
    )
    return f"| {' | '.join(cells)} |"


def _table(rows: list[str]) -> str:
    table = "\n".join((_HEADER, *rows))
    if len(rows) < _FOLDED:
        return table
    return f"<details><summary>All images</summary>\n\n{table}\n\n</details>"


def _fitting(parts: list[str], room: int, what: str) -> list[str]:
    """Take as many as there is room for, and say how many are left out."""
    for number, part in enumerate(parts):
        room -= _size(part) + 2
        if room < 0:
            rest = f"… and {len(parts) - number} more {what}: too many for this page"
            return [*parts[:number], f"| {rest} |" if what == "images" else rest]
    return parts


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


def _code(text: str) -> str:
    """Show text as code; what could end a code span or a cell of a table goes without its backticks."""
    return f"`{text}`" if _PLAIN.fullmatch(text) else f"<code>{escape(text)}</code>"


def escape(text: str) -> str:
    """Make foreign text stay text, in Markdown and in HTML."""
    return _SPECIAL.sub(lambda match: "".join(f"&#{ord(char)};" for char in match[0]), clean(text))
