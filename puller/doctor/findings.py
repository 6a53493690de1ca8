"""The results of checks: one line about one subject, and how to fix it."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from puller.text import clean, format_seconds

DAEMON_JSON = Path("/etc/docker/daemon.json")
"""The default path of dockerd's settings."""
_LONGEST = 400
"""Characters of a message, parts of which come from registries and engines."""
_SKEW_WARNING = 30.0
"""Seconds; a smaller difference may come from a slow response or from the whole seconds of a Date header."""
_SKEW_FAILED = 300.0
"""Seconds; tokens and signed URLs of blobs may be valid for no longer than that."""
_SKEW_FIX = "timedatectl status\nsudo timedatectl set-ntp true   # on the host whose clock is wrong"


class Verdict(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    """Pulls work, but slowly, or not for much longer."""
    FAILED = "failed"
    """Pulls will fail."""


class Finding(NamedTuple):
    """The result of one check; its texts are safe to print."""

    subject: str
    """What was checked: `engine`, `disk`, the name of a registry."""
    check: str
    """The aspect that was checked, as a stable word: `tls`, `latency`."""
    status: Verdict
    words: str
    fix: str = ""
    """Shell commands, one per line; what to edit in a file is a comment. Empty if nothing is wrong."""


class Subject(NamedTuple):
    """The subject of findings. Control characters and secrets are removed from all texts."""

    name: str

    def ok(self, check: str, words: str) -> Finding:
        return self.found(check, Verdict.OK, words)

    def warning(self, check: str, words: str, fix: str) -> Finding:
        return self.found(check, Verdict.WARNING, words, fix)

    def failed(self, check: str, words: str, fix: str) -> Finding:
        return self.found(check, Verdict.FAILED, words, fix)

    def found(self, check: str, status: Verdict, words: str, fix: str = "") -> Finding:
        lines = "\n".join(clean(line) for line in fix.splitlines())
        return Finding(clean(self.name), check, status, clean(words, _LONGEST), lines)


def until_failed(*steps: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings of each step, up to the first that failed: the steps after it would fail as well."""
    for step in steps:
        for finding in step:
            yield finding
            if finding.status is Verdict.FAILED:
                return


def compare_clocks(subject: Subject, whose: str, there: datetime, here: datetime) -> Finding:
    """Compare another clock with the clock of this host, both read at the same time.

    `whose` names the other clock, as `the engine's`. Certificates and tokens are valid for a limited time only.
    """
    difference = (there - here).total_seconds()
    skew = abs(difference)
    if skew < _SKEW_WARNING:
        return subject.ok("clock", f"within {_SKEW_WARNING:g}s of this host's")
    words = f"{whose} clock is {format_seconds(skew)} {'ahead of' if difference > 0 else 'behind'} this host's"
    return subject.found("clock", Verdict.FAILED if skew > _SKEW_FAILED else Verdict.WARNING, words, _SKEW_FIX)


def daemon_json(setting: dict[str, Any], then: str = "reload", path: Path = DAEMON_JSON) -> str:
    """Return the fix that changes a setting of dockerd; `then` is how dockerd takes it over, `reload` or `restart`."""
    return f"# add to {path}: {json.dumps(setting)[1:-1]}\nsudo systemctl {then} docker"


def login(registry: str, verb: str = "login") -> str:
    """Return the command that stores credentials, or with the verb `logout` removes them."""
    return f"docker {verb}" if registry == "docker.io" else f"docker {verb} {registry}"
