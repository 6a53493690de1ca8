"""The findings of `puller doctor` as text and JSON."""

import json
from collections.abc import Iterator, Sequence

from puller.doctor import Finding, Verdict
from puller.text import aligned, counted

SCHEMA = "puller.doctor/1"
"""Name and version of the JSON document; the version increases only with an incompatible change."""
_INDENT = " " * 9
_NOUNS = {Verdict.OK: ("ok", "ok"), Verdict.WARNING: ("warning", "warnings"), Verdict.FAILED: ("failed", "failed")}


def render_text(findings: Sequence[Finding], *, asked: bool) -> str:
    """Render one line per finding, its fix below it, and a summary; `asked` is whether registries were checked."""
    rows = [(each.status.value, each.subject, each.check, each.words) for each in findings]
    lines = []
    for line, finding in zip(aligned(rows, ()), findings, strict=True):
        lines.append(line)
        lines += [
            f"{_INDENT}{'→' if not number else ' '} {command}"
            for number, command in enumerate(finding.fix.splitlines())
        ]
    lines += ["", *_summary(findings)]
    if not asked:
        lines.append("No list given: registries not checked. Run `puller doctor LIST`.")
    return "\n".join(lines) + "\n"


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
