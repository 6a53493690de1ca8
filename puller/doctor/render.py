"""The findings of `puller doctor` as text and JSON."""

import json
import textwrap
from collections.abc import Iterator, Sequence

from puller.doctor import Finding, Verdict
from puller.text import aligned, counted

SCHEMA = "puller.doctor/1"
"""Name and version of the JSON document; the version increases only with an incompatible change."""
_INDENT = " " * 9
_NARROW = 30
"""Columns that a message needs beside the other columns; with fewer, its next lines begin further left."""
_STYLES = {Verdict.WARNING: "33", Verdict.FAILED: "31"}
"""The colors of a status, as terminals number them."""
_NOUNS = {Verdict.OK: ("ok", "ok"), Verdict.WARNING: ("warning", "warnings"), Verdict.FAILED: ("failed", "failed")}


def render_text(findings: Sequence[Finding], *, asked: bool, width: int | None = None, color: bool = False) -> str:
    """Render one line per finding, its fix below it, and a summary; `asked` is whether registries were checked.

    Messages are wrapped at `width` columns; commands to copy are not.
    """
    rows = [(each.status.value, each.subject, each.check, "") for each in findings]
    starts = [*aligned([*rows, ("", "", "", "|")], ())]
    column, lines = len(starts.pop()) - 1, []
    for start, finding in zip(starts, findings, strict=True):
        indent = " " * column if width is None or width - column >= _NARROW else _INDENT
        line = f"{start:<{column}}{finding.words}"
        wrapped = textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False) if width else [line]
        lines += [_painted(wrapped[0], finding.status) if color else wrapped[0], *wrapped[1:]]
        lines += [
            f"{_INDENT}{'→' if not number else ' '} {command}"
            for number, command in enumerate(finding.fix.splitlines())
        ]
    lines += ["", *(_painted(each, Verdict.FAILED) if color else each for each in _summary(findings))]
    if not asked:
        lines.append("No list given: registries not checked. Run `puller doctor LIST`.")
    return "\n".join(lines) + "\n"


def _painted(line: str, status: Verdict) -> str:
    """Color the status at the beginning of a line."""
    word = status.value
    if status not in _STYLES or not line.startswith(word):
        return line
    return f"\x1b[{_STYLES[status]}m{word}\x1b[0m{line.removeprefix(word)}"


def _summary(findings: Sequence[Finding]) -> Iterator[str]:
    counts = {status: sum(each.status is status for each in findings) for status in Verdict}
    parts = (f"{number} {_NOUNS[status][number != 1]}" for status, number in counts.items() if number)
    yield f"{counted(len(findings), 'check')}: {', '.join(parts)}"
    if bad := [f"{each.subject} {each.check}" for each in findings if each.status is Verdict.FAILED]:
        yield f"failed: {', '.join(dict.fromkeys(bad))}"


def render_json(findings: Sequence[Finding], *, asked: bool) -> str:
    """Render the findings as JSON in ASCII; `asked` is whether registries were checked."""
    document = {
        "schema": SCHEMA,
        "ok": all(each.status is not Verdict.FAILED for each in findings),
        "registries_asked": asked,
        "counts": {status.value: sum(each.status is status for each in findings) for status in Verdict},
        "checks": [
            {
                "subject": each.subject,
                "check": each.check,
                "status": each.status.value,
                "message": each.words,
                "fix": each.fix or None,
            }
            for each in findings
        ],
    }
    return json.dumps(document, indent=2) + "\n"
