"""GitHub Actions and GitLab CI: errors, folded output and a summary, and protection against foreign commands.

GitHub's runner obeys a line of stdout or stderr that starts with `::`, possibly after white space, and, for old
workflows, one that contains `##[` (actions/runner, ActionCommand.cs). Foreign text in a log must contain neither.
"""

import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

import click

from puller.model import Report
from puller.report import LARGEST_SUMMARY, RENDERERS
from puller.report.hosts import fleet_stops
from puller.report.words import KEPT, image_name
from puller.system import files
from puller.text import clean, counted, stop_words

_MOST_ERRORS = 10
"""Errors per step that GitHub shows; it drops further ones."""
_SECTION = "\x1b[0Ksection_{}:{:.0f}:{}{}\r\x1b[0K{}\n"
"""GitLab, "CI/CD job logs": kind, seconds since 1970, name, options, title."""
_COMMAND = re.compile(r"(?:^|\r)\s*:(?=:)|##(?=\[)", re.MULTILINE)


class EscapingStream(TextIOWrapper):
    """A stream that GitHub's runner reads: text is escaped, and only `command` writes commands."""

    def write(self, text: str, /) -> int:
        super().write(escaped(text))
        return len(text)

    def command(self, text: str) -> None:
        super().write(text)
        self.flush()


def escape_streams() -> None:
    """Let no image name and no message of a registry command GitHub's runner, which reads stdout and stderr."""
    if not _on("GITHUB_ACTIONS"):
        return
    for stream_name in ("stdout", "stderr"):
        stream = getattr(sys, stream_name)
        if isinstance(stream, TextIOWrapper):
            buffering, errors = stream.line_buffering, stream.errors
            setattr(sys, stream_name, EscapingStream(stream.detach(), "utf-8", errors, line_buffering=buffering))


def announce(report: Report, run: str = "") -> None:
    """Report each failure to GitHub, on stderr, and add the Markdown report to the summary of the step.

    For `run`, see `next_commands`.
    """
    if not _on("GITHUB_ACTIONS"):
        return
    _command(sys.stderr, "".join(github_errors(report)))
    if name := os.environ.get("GITHUB_STEP_SUMMARY"):
        path = Path(name)
        try:
            left = LARGEST_SUMMARY - (path.stat().st_size if path.exists() else 0)
            summary = RENDERERS["markdown"](report, limit=left, run=run).encode()
            if len(summary) <= left:  # else GitHub would accept neither this report nor what is there
                files.append(path, summary)
        except OSError as error:
            click.echo(f"puller: the step's summary cannot be written: {error.strerror}", err=True)


def announce_error(message: str) -> None:
    """Report to GitHub why a run could not start, such as the bad lines of a list."""
    if _on("GITHUB_ACTIONS"):
        _command(sys.stderr, github_error("puller", message))


@contextmanager
def folded(report: Report) -> Iterator[None]:
    """Fold the output of the block on stdout, in the log of a CI system that can do so."""
    before, after = markers(report) if _is_log(sys.stdout) else ("", "")
    _command(sys.stdout, before)
    yield
    _command(sys.stdout, after)


def markers(report: Report) -> tuple[str, str]:
    """Return the commands before and after lines that are folded; GitLab shows their duration beside the title."""
    title, begin = counted(len(report.outcomes), "image"), report.started.timestamp()
    if _on("GITHUB_ACTIONS"):
        return f"::group::{title}\n", "::endgroup::\n"
    if _on("GITLAB_CI"):
        name = f"puller_{begin:.0f}"
        end = _SECTION.format("end", begin + report.seconds, name, "", "")
        return _SECTION.format("start", begin, name, "[collapsed=true]", title), end
    return "", ""


def escaped(text: str) -> str:
    """Insert a space into everything that GitHub's runner would take for a command."""
    return _COMMAND.sub(lambda match: f"{match[0]} ", text)


def github_errors(report: Report) -> Iterator[str]:
    """Yield an `::error` for each failed image, and one if something else stopped the run, up to what GitHub shows."""
    told = {outcome.failure.message for outcome in report.failed if outcome.failure}
    found = [("puller stopped", stop_words(report.stopped))] if {report.stopped} - {"", *told} else []
    if report.fleet:
        found = [("puller: hosts", "\n".join(lines))] if (lines := [*fleet_stops(report)]) else []
    for outcome in report.failed:
        title, message = image_name(outcome), image_name(outcome)
        if why := outcome.failure:
            title = f"{title}: {why.named}"
            message = f"{title}: {clean(why.message)}{f'; {KEPT}' if outcome.kept else ''}\n→ {clean(why.advice)}"
        found.append((title, message))
    shown = found if len(found) <= _MOST_ERRORS else found[: _MOST_ERRORS - 1]
    for title, message in shown:
        yield github_error(title, message)
    if rest := len(found) - len(shown):
        yield github_error("puller", f"{rest} more images failed: see the end of the log")


def github_error(title: str, message: str) -> str:
    """Return an `::error` command; the message may have several lines."""
    escaped_title = _data(clean(title)).replace(":", "%3A").replace(",", "%2C")
    return f"::error title={escaped_title}::{_data(message)}\n"


def _data(text: str) -> str:
    return escaped(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _on(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"


def _is_log(stream: TextIO | None) -> bool:
    """Tell whether a stream goes to the job's log and not to a file."""
    try:
        return stream is not None and not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _command(stream: TextIO | None, command: str) -> None:
    """Write a command; that the stream is closed is reported by the next regular output."""
    with suppress(OSError, ValueError):
        if stream:
            getattr(stream, "command", stream.write)(command)
