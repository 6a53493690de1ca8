"""The product's way out: what a verb has to say goes to stdout in one piece."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from puller.cli import ci
from puller.cli.progress import ProgressMode
from puller.errors import PullerError, UsageError
from puller.model import Report
from puller.report import RENDERERS, history, json as as_json, text
from puller.system import files


def emit(text: str) -> None:
    """Write to stdout; a reader who has seen enough (`| head`) is no error.

    Raises PullerError when it cannot be written for any other reason, such as a full disk.
    """
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        # click would end the process with 1, and the interpreter complain when it flushes stdout once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise PullerError(f"standard output cannot be written: {error.strerror or error}") from None


@dataclass(frozen=True, slots=True)
class Output:
    """What goes where."""

    format: str
    """The kind of report on stdout."""
    reports: tuple[tuple[str, Path], ...] = ()
    """Kinds and the files that they are written to."""
    quiet: bool = False
    verbose: int = 0
    progress: ProgressMode = ProgressMode.AUTO
    junit_skip_up_to_date: bool = False


def deliver(report: Report, output: Output) -> None:
    """Write the files first: a reader of stdout who has gone must not cost them. Failures come last in every log.

    Raises UsageError, when all else is delivered, for files that could not be written.
    """
    problems, record = [], as_json.render(report)
    for kind, path in output.reports:
        try:
            files.write(path, record if kind == "json" else _render(kind, report, output, path=path))
        except UsageError as error:
            problems.append(str(error))
    _remember(report, record, output.verbose)
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
    """Read the report that is about to be replaced; empty for none, and for what is not to be believed."""
    try:
        return files.read(path)
    except OSError:
        return ""


def _remember(report: Report, record: str, verbose: int) -> None:
    """Put the run on record; a place that cannot be written costs no run."""
    try:
        history.keep(report, record)
    except UsageError as error:
        if verbose:
            click.echo(f"puller: not on record: {error}", err=True)


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
