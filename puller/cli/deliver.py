"""A finished report on its way out: into files, to the CI system that runs us, and to stdout."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from puller import files
from puller.cli.output import emit
from puller.errors import UsageError
from puller.progress import ProgressMode
from puller.reports import RENDERERS, as_json, text

if TYPE_CHECKING:
    from pathlib import Path

    from puller.model import Report


@dataclass(frozen=True, slots=True)
class Output:
    """What goes where."""

    format: str
    """The kind of report on stdout."""
    reports: "tuple[tuple[str, Path], ...]" = ()
    """Kinds and the files that they are written to."""
    quiet: bool = False
    verbose: int = 0
    progress: ProgressMode = ProgressMode.AUTO
    junit_skip_up_to_date: bool = False


def deliver(report: "Report", output: Output) -> None:
    """Write the files first: a reader of stdout who has gone must not cost them. Failures come last in every log.

    Raises UsageError, when all else is delivered, for files that could not be written.
    """
    from puller.cli import ci  # noqa: PLC0415 - not for --help

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


def _remember(report: "Report", record: str, verbose: int) -> None:
    """Put the run on record; a place that cannot be written costs no run."""
    from puller import history  # noqa: PLC0415 - not for --help

    try:
        history.keep(report, record)
    except UsageError as error:
        if verbose:
            click.echo(f"puller: not on record: {error}", err=True)


def _render(kind: str, report: "Report", output: Output, *, path: "Path | None" = None) -> str:
    options: dict[str, Any] = {}
    match kind:
        case "text":
            options["failures_only"] = path is None and output.quiet
        case "junit":
            options["skip_up_to_date"] = output.junit_skip_up_to_date
        case "prometheus":
            options |= {"before": files.held(path), "name": path.stem} if path else {}
    return RENDERERS[kind](report, **options)
