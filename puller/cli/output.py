"""The output of verbs: to stdout in one piece, and reports to files."""

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click

from puller.cli import ci
from puller.cli.progress import ProgressMode
from puller.errors import PullerError, UsageError
from puller.model import Report
from puller.report import RENDERERS, history, json as as_json, text
from puller.system import files


def emit(text: str) -> None:
    """Write to stdout; a closed pipe (`| head`) is no error.

    Raises PullerError for any other error, such as a full disk.
    """
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        # click would exit with 1, and the interpreter would report an error when it flushes stdout again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise PullerError(f"standard output cannot be written: {error.strerror or error}") from None


class Output(NamedTuple):
    """Where the report of a run goes."""

    format: str
    """The format of the report on stdout."""
    reports: tuple[tuple[str, Path], ...] = ()
    """Formats and the files to write."""
    quiet: bool = False
    verbose: int = 0
    progress: ProgressMode = ProgressMode.AUTO
    junit_skip_up_to_date: bool = False


def deliver(report: Report, output: Output) -> None:
    """Write the report to files, to the history, to the CI system, and last to stdout.

    Raises UsageError at the end for files that could not be written.
    """
    problems, record = [], as_json.render(report)
    for kind, path in output.reports:
        try:
            files.write(path, record if kind == "json" else _render(kind, report, output, path=path))
        except UsageError as error:
            problems.append(str(error))
    _keep(report, record, output.verbose)
    ci.announce(report)
    if output.format == "text" and report.outcomes and not output.quiet:
        with ci.folded(report):
            emit(text.table(report))
        emit(f"\n{text.conclusion(report)}")
    else:
        emit(record if output.format == "json" else _render(output.format, report, output))
    if problems:
        raise UsageError("\n".join(problems))


def _before(path: Path) -> str:
    """Read the file that will be replaced; empty if it cannot be read."""
    try:
        return files.read(path)
    except OSError:
        return ""


def _keep(report: Report, record: str, verbose: int) -> None:
    """Add the report to the history; an error is only printed with --verbose."""
    try:
        history.store(report, record)
    except UsageError as error:
        if verbose:
            click.echo(f"puller: the report was not added to the history: {error}", err=True)


def _render(kind: str, report: Report, output: Output, *, path: Path | None = None) -> str:
    options: dict[str, Any] = {}
    match kind:
        case "text":
            options["failures_only"] = path is None and output.quiet
        case "junit":
            options["skip_up_to_date"] = output.junit_skip_up_to_date
        case "prometheus":
            options |= {"before": _before(path), "name": path.stem} if path else {}
    return RENDERERS[kind](report, **options)
