"""The Markdown report, for the summary of a GitHub Actions step, a merge request or a chat."""

import re
from collections.abc import Iterator

from puller.failure import Failure
from puller.image.digest import short_digest
from puller.model import PullOutcome, Report
from puller.report.words import by_failure, cancelled, image_name, notes, retry_time, status_words, totals, verdict
from puller.text import clean, counted, format_seconds

LARGEST = 1024 * 1024
"""Largest summary of a step in bytes; GitHub shows nothing of a larger one."""
_FOLDED = 20
"""A table with so many rows is folded."""
_LISTED = 100
"""Images that are named under one failure; the table has all of them."""
_RESERVE = 512
"""Bytes reserved for the text around the table."""
_PLAIN = re.compile(r"[\w./:@-]+(?: \([\w./-]+\))?", re.ASCII)
"""A name without characters that have a meaning in a code span or a table."""
# The other characters cannot form structure, HTML, a mention, a link, mathematics or an emoji.
_SPECIAL = re.compile(r"[^\w\s.,;'\"()/?%=+:-]|:(?=//)|(?<=www)\.|_", re.IGNORECASE)
_HEADER = "| status | image | digest | attempts | time |\n| --- | --- | --- | ---: | ---: |"


def render(report: Report, *, limit: int = LARGEST) -> str:
    """Return the summary, the failures and a table; parts that exceed `limit` bytes are left out and counted."""
    head = "\n\n".join(_summary(report))
    failures = _truncated([*_failures(report)], limit // 2 - _size(head), "causes")
    top = "\n\n".join([head, *failures])
    rows = _truncated([*map(_row, report.outcomes)], limit - _size(top) - _RESERVE, "images")
    return f"{top}\n\n{_table(rows)}\n" if report.outcomes and rows else f"{top}\n"


def _summary(report: Report) -> Iterator[str]:
    yield f"### puller: {verdict(report.outcomes)}"
    if report.outcomes:
        yield totals(report)
    if report.stopped:
        yield f"**Stopped:** {escape(report.stopped)}"
    yield from map(escape, notes(report.outcomes))
    for reason, number in cancelled(report.outcomes).items():
        yield f"**Cancelled:** {counted(number, 'image')} ({escape(reason)})"


def _failures(report: Report) -> Iterator[str]:
    for why, outcomes in by_failure(report.failed).items():
        names = [f"- **failed:** {_code(image_name(outcome))}" for outcome in outcomes[:_LISTED]]
        if len(outcomes) > _LISTED:
            names.append(f"- … and {len(outcomes) - _LISTED} more")
        yield "\n".join(names) + (f"\n\n{_cause(why)}" if why else "")


def _cause(why: Failure) -> str:
    return f"`{why.kind}`: {escape(why.message)}\n\n→ {f'{escape(why.advice)} {retry_time(why)}'.rstrip()}"


def _row(outcome: PullOutcome) -> str:
    digest, status = short_digest(outcome.digest), status_words(outcome.status)
    cells = (
        status if outcome.ok else f"**{status}**",
        _code(image_name(outcome)),
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


def _truncated(parts: list[str], limit: int, what: str) -> list[str]:
    """Return as many parts as fit into `limit` bytes, and a line with the number of the others."""
    for number, part in enumerate(parts):
        limit -= _size(part) + 2
        if limit < 0:
            rest = f"… and {len(parts) - number} more {what}: too many for this page"
            return [*parts[:number], f"| {rest} |" if what == "images" else rest]
    return parts


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


def _code(text: str) -> str:
    """Format text as code, with HTML if it has characters that could end a code span or a table cell."""
    return f"`{text}`" if _PLAIN.fullmatch(text) else f"<code>{escape(text)}</code>"


def escape(text: str) -> str:
    """Escape untrusted text for Markdown and HTML."""
    return _SPECIAL.sub(lambda match: "".join(f"&#{ord(char)};" for char in match[0]), clean(text))
