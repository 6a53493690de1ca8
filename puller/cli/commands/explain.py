"""`puller explain`: the meaning of an error message or kind of failure, whether to retry, and what to do."""

import json
import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import click

from puller.cli.output import emit
from puller.cli.sections import text_or_json
from puller.errors import ExitCode, FailureClass, FailureKind, UsageError
from puller.failure import Failure, classify, failure
from puller.failure.kinds import KINDS
from puller.model import exit_code_of
from puller.text import clean, format_seconds

_LONGEST = 64 * 1024 * 1024
"""Bytes that are read from standard input."""
_CLASSES = {
    FailureClass.TRANSIENT: "a temporary error",
    FailureClass.RATE_LIMITED: "all images of the registry wait",
    FailureClass.PERMANENT: "a retry fails until somebody fixes the cause",
    FailureClass.HOST_FATAL: "every image of this host fails, and its pulls stop",
}
_EXITS = {
    ExitCode.HOSTS_UNREACHABLE: "a host of a fleet; the other hosts go on",
    ExitCode.TRY_AGAIN: "if all failures are temporary, else 1",
    ExitCode.ENGINE_UNREACHABLE: "no engine; 3 if others of a fleet have theirs",
}
_OF_FLEETS = (FailureKind.HOST_KEY, FailureKind.HOST_UNREACHABLE, FailureKind.LOGIN_DENIED)
"""Kinds of failure that only hosts of a fleet have."""


@click.command(
    "explain", epilog='JSON lines are objects with a "message", and optionally the HTTP "status" of the response.'
)
@click.argument("message", metavar="[MESSAGE|KIND]...", nargs=-1)
@text_or_json
def command(message: tuple[str, ...], form: str) -> None:
    """Explain an error MESSAGE of docker pull: what it means, whether to retry, and what to do.

    A KIND is a word or title from a report. Without either, or with -, the message is read from stdin; for JSON lines
    the output is JSON lines.

    \b
    puller explain not_found
    puller explain "toomanyrequests: retry-after: 863.373s, allowed: 44000/minute"
    docker pull nginx:nope 2>&1 | puller explain
    """  # noqa: D301 - click wants the control character itself
    text = " ".join(message)
    if message in ((), ("-",)):
        text = sys.stdin.buffer.read(_LONGEST).decode("utf-8", "replace") if sys.stdin else ""
    lines = text.splitlines()
    if next((line for line in lines if line.strip()), "").lstrip().startswith("{"):
        emit("".join(f"{json.dumps(_document(each))}\n" for each in _json_lines(lines)))
    elif not text.strip():
        raise click.UsageError("no message: pass it as an argument or on stdin")
    else:
        why = _read(text)
        emit(json.dumps(_document(why)) + "\n" if form == "json" else _text(why))


def _read(text: str) -> Failure:
    """Return the failure of a message, of a kind, of its title, or of a line `TITLE (KIND): MESSAGE` of a report.

    Raises UsageError for a word that is nearly a kind.
    """
    made = [failure(kind, "") for kind in FailureKind]
    kinds = {_plain(words): each.kind for each in made for words in (each.title, each.kind, each.named)}
    if kind := kinds.get(_plain(text)):
        return failure(kind, "")
    word, _, message = text.strip().partition(": ")
    # An engine's message may begin with `unauthorized: `.
    named = kinds.get(_plain(word)) if re.search("[_(]", word) else None
    found = classify(message if named else text)
    if not named and found.kind is FailureKind.UNCLASSIFIED and (like := _similar(_plain(text))):
        raise UsageError(f"there is no kind {clean(text, 60).strip()!r}: did you mean {', '.join(like)}?")
    return found if named in (None, found.kind) else failure(named, message)


def _similar(word: str) -> list[str]:
    """Return the kinds that have a word, or are spelled nearly like it."""
    known = [kind.value for kind in FailureKind]
    return [kind for kind in known if word in kind.split("_")] or get_close_matches(word, known)


def _plain(text: str) -> str:
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def _json_lines(lines: list[str]) -> Iterator[Failure]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            message, status = row["message"], row.get("status")
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
            row = message = status = None
        if not isinstance(message, str):
            raise UsageError(f'line {number}: {clean(line, 60)!r} is not a JSON object with a text "message"')
        known = {key: str(row.get(key) or "") for key in ("source", "phase")}
        yield classify(message, status if isinstance(status, int) else None, **known)


def _document(why: Failure) -> dict[str, Any]:
    return {
        "schema": "puller.explain/1",
        "kind": why.kind.value,
        "class": why.failure_class.value,
        "origin": why.origin.value,
        "retry": why.retryable,
        "wait": why.wait,
        "advice": why.advice,
        "message": why.message,
        "title": why.title,
        "summary": KINDS[why.kind].summary,
        "exit_code": _exit_code(why),
    }


def _exit_code(why: Failure) -> ExitCode:
    if why.kind in _OF_FLEETS:
        return ExitCode.HOSTS_UNREACHABLE
    return ExitCode.INTERRUPTED if why.kind is FailureKind.CANCELLED else exit_code_of([why])


def _text(why: Failure) -> str:
    wait = f", after {format_seconds(why.wait)}" if why.retryable and why.wait is not None else ""
    code = _exit_code(why)
    rows = {
        "kind": f"{why.kind}: {KINDS[why.kind].summary}",
        "class": f"{why.failure_class}: {_CLASSES[why.failure_class]}",
        "cause": why.origin.value,
        "retry": ("yes" if why.retryable else "no") + wait,
        "exit": f"{code:d}{f' ({_EXITS[code]})' if code in _EXITS else ''}",
        "advice": why.advice,
        "message": why.message,
    }
    return "".join(f"{name:<8} {value}\n" for name, value in rows.items() if value)
