"""What a check finds: one line about one subject, and how to put it right."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from puller.text import clean, format_seconds

DAEMON_JSON = Path("/etc/docker/daemon.json")
"""Where dockerd reads its settings, unless it was told otherwise."""
_LONGEST = 400
"""Characters of a finding's words: registries and engines have a say in them."""
_SKEW_WARNING = 30.0
"""Seconds: more than a slow answer and the whole seconds of a Date header account for."""
_SKEW_FAILED = 300.0
"""Seconds: tokens and signed addresses of blobs may live no longer."""
_SKEW_FIX = "timedatectl status\nsudo timedatectl set-ntp true   # on the host whose clock is wrong"


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
class Subject:
    """What is looked at. Makes the findings about it; control characters and secrets are removed from their words."""

    name: str

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
        """Make a finding of any status."""
        lines = "\n".join(clean(line) for line in fix.splitlines())
        return Finding(clean(self.name), check, status, clean(words, _LONGEST), lines)


def until_failed(*steps: Iterable[Finding]) -> Iterator[Finding]:
    """Go step by step, and no further than the first that failed: those after it could only fail, too."""
    for step in steps:
        for finding in step:
            yield finding
            if finding.status is Verdict.FAILED:
                return


def compare_clocks(subject: Subject, whose: str, there: datetime, here: datetime) -> Finding:
    """Compare a clock with ours, read at the same moment: certificates and tokens are valid for a time only."""
    ahead = (there - here).total_seconds()
    skew = abs(ahead)
    if skew < _SKEW_WARNING:
        return subject.ok("clock", f"within {_SKEW_WARNING:g}s of ours")
    words = f"{whose} clock is {format_seconds(skew)} {'ahead of' if ahead > 0 else 'behind'} ours"
    return subject.found("clock", Verdict.FAILED if skew > _SKEW_FAILED else Verdict.WARNING, words, _SKEW_FIX)


def daemon_json(setting: dict[str, Any], then: str = "reload", path: Path = DAEMON_JSON) -> str:
    """Return the fix that changes a setting of dockerd and puts it in force, by `reload` or `restart`."""
    return f"# in {path}:\n{json.dumps(setting)}\nsudo systemctl {then} docker"


def login(registry: str, verb: str = "login") -> str:
    """Return the command that stores an account, or with the verb `logout` removes it."""
    return f"docker {verb}" if registry == "docker.io" else f"docker {verb} {registry}"
