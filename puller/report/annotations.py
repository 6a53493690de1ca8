"""What CI systems read between the lines of a log: workflow commands of GitHub Actions, sections of GitLab.

GitHub's runner obeys a line of stdout or stderr that begins with `::`, after white space, and, from older days, one
that has `##[` anywhere (actions/runner, ActionCommand.cs). So foreign text in a log must have neither.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from puller.model import Report
from puller.report.words import name
from puller.text import clean

_MOST = 10
"""Errors of a step that GitHub shows; further ones are dropped without a word."""
_SECTION = "\x1b[0Ksection_{}:{:.0f}:{}{}\r\x1b[0K{}\n"
"""As GitLab's "CI/CD job logs" has it: kind, seconds since 1970, name, options, title."""
_OBEYED = re.compile(r"(?:^|\r)\s*:(?=:)|##(?=\[)", re.MULTILINE)


def harmless(text: str) -> str:
    """Break what GitHub's runner would obey: a space, where a command would begin."""
    return _OBEYED.sub(lambda match: f"{match[0]} ", text)


def github_errors(report: Report) -> Iterator[str]:
    """Write an `::error` for each failed image, and for a run that was stopped; no more than are shown."""
    found = [("puller stopped", clean(report.stopped))] if report.stopped else []
    for outcome in report.failed:
        title, message = name(outcome), name(outcome)
        if why := outcome.failure:
            title = f"{title}: {why.kind}"
            message = f"{title}: {clean(why.message)}\n→ {clean(why.advice)}"
        found.append((title, message))
    fitting = found if len(found) <= _MOST else found[: _MOST - 1]
    for title, message in fitting:
        yield github_error(title, message)
    if rest := len(found) - len(fitting):
        yield github_error("puller", f"{rest} more images failed: the end of the log names them all")


def github_error(title: str, message: str) -> str:
    """Write one `::error`; the message may have several lines."""
    return f"::error title={_property(clean(title))}::{_data(message)}\n"


def github_group(title: str) -> tuple[str, str]:
    """Give what stands before and after lines of a log that are folded away under a title."""
    return f"::group::{_data(clean(title))}\n", "::endgroup::\n"


def gitlab_section(title: str, begin: datetime, seconds: float) -> tuple[str, str]:
    """Give the same for GitLab, which shows beside the title how long that took."""
    start = begin.timestamp()
    label = f"puller_{start:.0f}"
    return (
        _SECTION.format("start", start, label, "[collapsed=true]", clean(title)),
        _SECTION.format("end", start + seconds, label, "", ""),
    )


def _data(text: str) -> str:
    return harmless(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
