"""The Markdown report, for the summary of a GitHub Actions step, a merge request or a chat."""

import re
from collections.abc import Iterator, Sequence

from puller.failure import Failure
from puller.image.digest import short_digest
from puller.model import PullOutcome, Report
from puller.model.hosts import HostState
from puller.report import LARGEST_SUMMARY
from puller.report.hosts import amount_of, host_names, host_rows, spread
from puller.report.words import (
    KEPT,
    advice,
    bare_name,
    by_cause,
    image_name,
    next_commands,
    notes,
    origin,
    row_digest,
    row_name,
    shared_message,
    status_words,
    stops,
    totals,
    verdict,
)
from puller.text import clean, counted, format_bytes, format_seconds, shorten

_FOLDED = 20
"""Rows from which on a table is folded."""
_LISTED = 100
"""Images that are named under one failure; the table has all of them."""
_SHORT = 200
"""Characters of a message that is not the same for all images of a cause."""
_RESERVE = 512
"""Bytes reserved for the text around the table."""
_PLAIN = re.compile(r"[\w./:@-]+(?: \([\w./-]+\))?", re.ASCII)
"""A name without characters that have a meaning in a code span or a table."""
# The other characters cannot form structure, HTML, a mention, a link, mathematics or an emoji.
_SPECIAL = re.compile(r"[^\w\s.,;'\"()/?%=+:-]|:(?=//)|(?<=www)\.|_", re.IGNORECASE)
_HOSTS_HEADER = "| state | host | images | fetched | took | why |\n| --- | --- | ---: | ---: | ---: | --- |"
_HEADER = "| status | image | digest | fetched | attempts | took |\n| --- | --- | --- | ---: | ---: | ---: |"


def render(report: Report, *, limit: int = LARGEST_SUMMARY, run: str = "") -> str:
    """Return the summary, the failures and a table; parts that exceed `limit` bytes are left out and counted.

    For `run`, see `next_commands`.
    """
    head = "\n\n".join(_summary(report))
    causes = ["\n".join(_cause(*each)) for each in by_cause(report.failed)]
    failures = _truncated(causes, limit // 2 - _size(head), "causes")
    commands = ", ".join(_code(command, spaces=" ") for command, _ in next_commands(report, run))
    top = "\n\n".join([head, *failures, *([f"Next: {commands}"] if commands else [])])
    what = "hosts" if report.fleet else "images"
    rows = [*_host_rows(report)] if report.fleet else [_row(report, outcome) for outcome in report.outcomes]
    rows = _truncated(rows, limit - _size(top) - _RESERVE, what)
    return f"{top}\n\n{_table(rows, what)}\n" if report.outcomes and rows else f"{top}\n"


def _summary(report: Report) -> Iterator[str]:
    yield f"### puller: {escape(verdict(report))}"
    if report.outcomes:
        yield totals(report)
    yield from (f"**{escape(line)}**" for line in stops(report))
    yield from map(escape, filter(None, (origin(report), *notes(report.outcomes))))


def _cause(why: Failure, outcomes: Sequence[PullOutcome]) -> Iterator[str]:
    message, alone = shared_message(outcomes), len(outcomes) == 1
    what = _code(image_name(outcomes[0])) if alone else counted(len(outcomes), "image")
    what = amount_of(outcomes) if outcomes[0].host and not alone else what
    words = f"{escape(why.title)} (`{why.kind}`){f': {escape(message)}' if message else ''}"
    words += f"; {KEPT}" if alone and outcomes[0].kept else ""
    yield f"- **failed:** {what}: {words} → {escape(' '.join(advice(why)))}"
    if outcomes[0].host and not alone:
        yield from _on_hosts(outcomes, message)
        return
    for outcome in () if alone else outcomes[:_LISTED]:
        own = f": {escape(shorten(outcome.failure.message, _SHORT))}" if outcome.failure and not message else ""
        yield f"  - {_code(image_name(outcome))}{own}{f' ({KEPT})' if outcome.kept else ''}"
    if len(outcomes) > _LISTED:
        yield f"  - … and {len(outcomes) - _LISTED} more"


def _row(report: Report, outcome: PullOutcome) -> str:
    digest, status = short_digest(row_digest(outcome)), status_words(outcome.status, report.details)
    cells = (
        status if outcome.ok else f"**{status}**",
        _code(row_name(outcome)),
        _code(digest) if digest else "",
        format_bytes(outcome.bytes) if outcome.bytes else "",
        str(len(outcome.attempts)),
        format_seconds(outcome.took),
    )
    return f"| {' | '.join(cells)} |"


def _on_hosts(outcomes: Sequence[PullOutcome], message: str) -> Iterator[str]:
    """Name each image once, with its hosts."""
    found = spread(outcomes)
    for outcome, hosts in found[:_LISTED]:
        own = f": {escape(shorten(outcome.failure.message, _SHORT))}" if outcome.failure and not message else ""
        yield f"  - {_code(bare_name(outcome))} on {escape(host_names(hosts))}{own}"
    if len(found) > _LISTED:
        yield f"  - … and {len(found) - _LISTED} more"


def _host_rows(report: Report) -> Iterator[str]:
    for host, (state, name, *cells, why) in host_rows(report):
        shown = state if host.state is HostState.DONE else f"**{state}**"
        yield f"| {' | '.join((shown, _code(name), *(cell.strip('-') for cell in cells), escape(why)))} |"


def _table(rows: list[str], what: str) -> str:
    table = "\n".join((_HOSTS_HEADER if what == "hosts" else _HEADER, *rows))
    if len(rows) < _FOLDED:
        return table
    return f"<details><summary>All {what}</summary>\n\n{table}\n\n</details>"


def _truncated(parts: list[str], limit: int, what: str) -> list[str]:
    """Return as many parts as fit into `limit` bytes, and a line with the number of the others."""
    for number, part in enumerate(parts):
        limit -= _size(part) + 2
        if limit < 0:
            rest = f"… and {len(parts) - number} more {what}: too many for this page"
            return [*parts[:number], rest if what == "causes" else f"| {rest} |"]
    return parts


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


def _code(text: str, *, spaces: str = "") -> str:
    """Format text as code, with HTML if it has characters that could end a code span or a table cell."""
    plain = _PLAIN.fullmatch(text.replace(spaces, "") if spaces else text)
    return f"`{text}`" if plain else f"<code>{escape(text)}</code>"


def escape(text: str) -> str:
    """Escape untrusted text for Markdown and HTML."""
    return _SPECIAL.sub(lambda match: "".join(f"&#{ord(char)};" for char in match[0]), clean(text))
