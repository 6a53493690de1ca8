"""The findings of `puller doctor` for people: a line for each, what to do below it, and a line that sums up."""

from typing import TYPE_CHECKING

from puller.doctor import Verdict
from puller.reports.text import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from puller.doctor import Finding

_INDENT = " " * 9
_NOUNS = {Verdict.OK: ("ok", "ok"), Verdict.WARNING: ("warning", "warnings"), Verdict.FAILED: ("failed", "failed")}


def render(findings: "Sequence[Finding]", *, asked: bool) -> str:
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


def _summary(findings: "Sequence[Finding]") -> "Iterator[str]":
    counts = {status: sum(each.status is status for each in findings) for status in Verdict}
    parts = (f"{number} {_NOUNS[status][number != 1]}" for status, number in counts.items() if number)
    yield f"{len(findings)} {'check' if len(findings) == 1 else 'checks'}: {', '.join(parts)}"
    if bad := [f"{each.subject} {each.check}" for each in findings if each.status is Verdict.FAILED]:
        yield f"failed: {', '.join(dict.fromkeys(bad))}"
