"""The findings of `puller doctor` for people: a line for each, what to do below it, and a line that sums up."""

import json
from collections.abc import Iterator, Sequence

from puller.doctor import Finding, Verdict
from puller.text import aligned

_INDENT = " " * 9
_NOUNS = {Verdict.OK: ("ok", "ok"), Verdict.WARNING: ("warning", "warnings"), Verdict.FAILED: ("failed", "failed")}


def render_text(findings: Sequence[Finding], *, asked: bool) -> str:
    """Write them down; `asked` tells whether registries were."""
    rows = [(each.status.value, each.subject, each.check, each.words) for each in findings]
    lines = []
    for line, finding in zip(aligned(rows, ()), findings, strict=True):
        lines.append(line)
        lines += [
            f"{_INDENT}{'→' if not number else ' '} {cure}" for number, cure in enumerate(finding.fix.splitlines())
        ]
    lines += ["", *_summary(findings)]
    if not asked:
        lines.append("no list was named, so no registry was asked: `puller doctor LIST` looks at the list's, too")
    return "\n".join(lines) + "\n"


def _summary(findings: Sequence[Finding]) -> Iterator[str]:
    counts = {status: sum(each.status is status for each in findings) for status in Verdict}
    parts = (f"{number} {_NOUNS[status][number != 1]}" for status, number in counts.items() if number)
    yield f"{len(findings)} {'check' if len(findings) == 1 else 'checks'}: {', '.join(parts)}"
    if bad := [f"{each.subject} {each.check}" for each in findings if each.status is Verdict.FAILED]:
        yield f"failed: {', '.join(dict.fromkeys(bad))}"


SCHEMA = "puller.doctor/1"
"""Name and version; the number grows only when something promised changes its meaning."""


def render_json(findings: Sequence[Finding], *, asked: bool) -> str:
    """Write them as JSON in plain ASCII; `asked` tells whether registries were."""
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
