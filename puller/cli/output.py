"""The output of verbs: to stdout in one piece, and reports to files."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import click

from puller.cli import ci
from puller.errors import OutputError, UsageError
from puller.model import Report
from puller.report import RENDERERS, history, json as as_json, text
from puller.report.words import names_lists, reached_engine
from puller.system import files
from puller.text import clean


def working_directory() -> str:
    """Return the working directory as reports have it; empty if it was removed."""
    with suppress(OSError):
        return clean(os.getcwd())  # noqa: PTH109 - a string is wanted
    return ""


def wants_color() -> bool:
    """Tell whether text on stdout gets colors: on a terminal, or if the environment asks for them, as CI systems do."""
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"


def emit(text: str, *, color: bool = False) -> None:
    """Write to stdout; a closed pipe (`| head`) is no error. Without `color`, click removes escape sequences.

    Raises OutputError for any other error, such as a full disk.
    """
    try:
        click.echo(text, nl=False, color=color or None)
    except BrokenPipeError:
        # click would exit with 1, and the interpreter would report an error when it flushes stdout again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"standard output cannot be written: {why}") from None


def emit_json(name: str, **document: Any) -> None:
    """Write a JSON document of the first version of a schema to stdout."""
    emit(json.dumps({"schema": f"puller.{name}/1", **document}, indent=2) + "\n")


def emit_report(report: Report, form: str, run: str) -> None:
    """Write the report of a run to stdout in a format of `RENDERERS`; `run` is its name."""
    color = form == "text" and wants_color()
    options: dict[str, Any] = {"run": run} if form in ("text", "markdown", "html") else {}
    options |= {"color": color} if form == "text" else {}
    emit(RENDERERS[form](report, **options), color=color)


def deliver(report: Report, options: Mapping[str, Any]) -> None:
    """Write the report to files, to the history, to the CI system, and last to stdout, as the options of `pull` say.

    Raises OutputError at the end for what could not be written.
    """
    problems, record, run = [], as_json.render(report), ""
    try:
        run = history.store(report, record)
    except UsageError as error:
        if options["verbose"] or not options["quiet"]:
            click.echo(f"puller: the report was not added to the history: {error}", err=True)
    run = "" if names_lists(report.details, working_directory()) else run
    for kind, path in options["reports"]:
        try:
            files.write(path, record if kind == "json" else _render(kind, report, options, run, path))
        except UsageError as error:
            problems.append(str(error))
    ci.announce(report, run)
    kind = options["format"]
    try:
        if kind == "text":
            seen = options["progress"] not in ("json", "quiet") and not options["verbose"]
            show(report, quiet=options["quiet"], seen=seen, run=run)
        else:
            emit(record if kind == "json" else _render(kind, report, options, run))
    except OutputError as error:
        problems.append(str(error))
    if problems:
        raise OutputError("\n".join(problems))


def show(report: Report, *, quiet: bool, seen: bool, run: str = "") -> None:
    """Write the text report to stdout; `seen` means that lines on stderr have shown each image that ended.

    On a terminal there is then no table. There is nothing at all if no engine was reached: stderr has the reason.
    For `run`, see `next_commands`.
    """
    color, brief = wants_color(), seen and is_terminal(sys.stdout) and is_terminal(sys.stderr)
    if not (reached_engine(report) or report.failed):
        return
    if quiet or brief or not report.outcomes:
        below = text.conclusion(report, brief=brief, color=color, run=run)
        emit("" if quiet and report.ok else "\n" * (brief and bool(report.failed)) + below, color=color)
    else:
        if table := text.table(report, color=color):
            with ci.folded(report):
                emit(table, color=color)
        emit("\n" * bool(table) + text.conclusion(report, color=color, run=run), color=color)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is open and goes to a terminal."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def _render(kind: str, report: Report, options: Mapping[str, Any], run: str, path: Path | None = None) -> str:
    match kind:
        case "text" | "markdown" | "html":
            return RENDERERS[kind](report, run=run)
        case "junit":
            return RENDERERS[kind](report, skip_up_to_date=options["junit_skip_up_to_date"])
        case "prometheus" if path:
            before = ""
            with suppress(OSError):
                before = files.read(path)
            return RENDERERS[kind](report, before=before, name=path.stem)
    return RENDERERS[kind](report)
