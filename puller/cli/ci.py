"""CI systems: what a run says to GitHub Actions and GitLab besides its report, and what it never says by accident."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

import click

from puller.model import Report
from puller.report import annotations, markdown
from puller.system import files


class Guarded(TextIOWrapper):
    """A stream that GitHub's runner reads: what is written is shown and not obeyed, unless it is a command of ours."""

    def write(self, text: str, /) -> int:
        """Write what came from anywhere."""
        super().write(annotations.harmless(text))
        return len(text)

    def command(self, text: str) -> None:
        """Write what the runner is meant to obey."""
        super().write(text)
        self.flush()


def guard_streams() -> None:
    """Let no image name and no registry's message command GitHub's runner, which listens on both streams."""
    if not _on("GITHUB_ACTIONS"):
        return
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            buffering, errors = stream.line_buffering, stream.errors
            setattr(sys, name, Guarded(stream.detach(), "utf-8", errors, line_buffering=buffering))


def announce(report: Report) -> None:
    """Tell GitHub of each failure, on stderr, and put the Markdown report into the summary of the step."""
    if not _on("GITHUB_ACTIONS"):
        return
    for error in annotations.github_errors(report):
        _say(sys.stderr, error)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        _add_summary(Path(path), report)


def complain(message: str) -> None:
    """Tell GitHub why a run could not begin, such as the bad lines of a list."""
    if _on("GITHUB_ACTIONS"):
        _say(sys.stderr, annotations.github_error("puller", message))


@contextmanager
def folded(report: Report) -> Iterator[None]:
    """Fold away what is printed on stdout meanwhile, where a CI system reads it that can."""
    title = f"{len(report.outcomes)} {'image' if len(report.outcomes) == 1 else 'images'}"
    before = after = ""
    if _in_the_log(sys.stdout):
        if _on("GITHUB_ACTIONS"):
            before, after = annotations.github_group(title)
        elif _on("GITLAB_CI"):
            before, after = annotations.gitlab_section(title, report.started, report.seconds)
    _say(sys.stdout, before)
    yield
    _say(sys.stdout, after)


def _on(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"


def _in_the_log(stream: TextIO | None) -> bool:
    """Say whether a stream goes to the log, and not into a file."""
    try:
        return stream is not None and not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _say(stream: TextIO | None, command: str) -> None:
    """Write what a CI system is meant to obey; a stream that is closed is for whoever writes next to find."""
    if stream is None or not command:
        return
    with suppress(OSError, ValueError):
        if isinstance(stream, Guarded):
            stream.command(command)
        else:
            stream.write(command)


def _add_summary(path: Path, report: Report) -> None:
    """Add to what earlier commands of the step wrote; GitHub drops a summary that is too large, so stay below."""
    try:
        left = markdown.LARGEST - (path.stat().st_size if path.exists() else 0)
        summary = markdown.render(report, limit=left).encode()
        if len(summary) <= left:
            files.append(path, summary)
    except OSError as error:
        click.echo(f"puller: the step's summary cannot be written: {error.strerror}", err=True)
