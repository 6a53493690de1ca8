"""What an examination finds: one line about one thing, and how to put it right."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from puller.text import clean

_LONGEST = 400
"""Characters of a finding's words: registries and engines have a say in them."""


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Pulls go on, but slower than they could, or not for long."""
    FAILED = "failed"
    """Pulls will fail."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, in words that are safe to show."""

    subject: str
    """What was looked at: `engine`, `disk`, a registry's name."""
    check: str
    """What was looked at there, in one word that stays: `tls`, `latency`."""
    status: Verdict
    words: str
    fix: str = ""
    """Commands or lines of configuration to paste, one a line; there may be some where all is well, too."""


@dataclass(frozen=True, slots=True)
class About:
    """Writes the findings about one subject; foreign words and secrets in them are made safe."""

    subject: str

    def ok(self, check: str, words: str, fix: str = "") -> Finding:
        """Say that all is well; a fix is how it could be better."""
        return self.found(check, Verdict.OK, words, fix)

    def warning(self, check: str, words: str, fix: str) -> Finding:
        """Say what could be better."""
        return self.found(check, Verdict.WARNING, words, fix)

    def failed(self, check: str, words: str, fix: str) -> Finding:
        """Say what must be put right."""
        return self.found(check, Verdict.FAILED, words, fix)

    def found(self, check: str, status: Verdict, words: str, fix: str = "") -> Finding:
        """Write a finding of any status."""
        cure = "\n".join(clean(line) for line in fix.splitlines())
        return Finding(clean(self.subject), check, status, clean(words, _LONGEST), cure)


def until_failed(*steps: Iterable[Finding]) -> Iterator[Finding]:
    """Go step by step, and no further than the first that failed: those after it could only fail, too."""
    for step in steps:
        for finding in step:
            yield finding
            if finding.status is Verdict.FAILED:
                return
