"""Every command line that puller's own words show is one that puller takes."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from puller.cli import puller

ROOT = Path(__file__).parents[2]
NOT_VERBS = {"VERB", "--help", "--version"}
SECRETS_OF_A_SHELL = re.compile(r"\$\{?\w+\}?|\$\(.*?\)")


@dataclass(frozen=True)
class Example:
    """One command line, and where it stands."""

    where: str
    line: str

    def __str__(self) -> str:
        """Name it in the output of a test."""
        return f"{self.where}: {self.line}"


def commands(text: str) -> Iterator[str]:
    """Find the calls of puller in a script, a unit, a table of cron, a page or a help text: to the end of each call.

    A line that ends in a backslash goes on. In prose only what stands in backticks counts.
    """
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in joined.splitlines():
        prose = not re.match(r"\s{2,}|ExecStart|[\d@*]|\s*(run|-|\$)|puller |RUN|CMD|eval|systemd-run|docker run", line)
        found = re.findall(r"`([^`]*)`", line)
        for piece in found if prose or found else [line]:
            match = re.search(r"(?:^|[\s/(\"'])puller (?=[a-z-])(.*)", piece)
            if match:
                yield re.split(r"(?<!\\)(?:[|;&>)]|\s#|2>)", match.group(1))[0].strip().rstrip("'\"")
