"""`puller pull --failed`: the images that an earlier run did not pull."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import click

from puller.cli.lists import requested_images
from puller.cli.output import working_directory
from puller.cli.run_details import list_names
from puller.errors import FailureKind, UsageError
from puller.imagelist import Source
from puller.imagelist.entry import BadLine, Entry, entry_of
from puller.imagelist.requests import RequestedImages
from puller.model import Report
from puller.report import history
from puller.text import clean, counted, shorten, timestamp

_LONGEST_LISTS = 200


def failed_images(options: dict[str, Any]) -> RequestedImages:
    """Return the images of an earlier run that failed or were cancelled; exits with 0 when there are none.

    Bad lines are left out. The lists of that run, with their directory, become those of this one. Raises
    click.UsageError when there are both a run and a list, and UsageError when there is no such run.
    """
    for run in _failed_runs(options):
        report = run.report()
        if report.fleet:
            raise UsageError(f"run {run.name} was over hosts: puller fleet pull --failed={run.name}")
        if items := failed_entries(report, run):
            break
    else:
        nothing_failed(options)
    made = requested_images(options, items)
    if not options["quiet"]:
        click.echo(
            f"puller: pulling {counted(len(made.requests), 'image')} that failed in {run_words(report, run)}", err=True
        )
    options |= lists_of(report)
    return made


def failed_entries(report: Report, run: history.Run) -> list[Entry | BadLine]:
    """Return the images of a run that failed or were cancelled, as entries of a list; bad lines are left out."""
    return [
        entry_of(text, Source(run.path.name), str(outcome.platform) if outcome.platform else None)
        for outcome in report.outcomes
        if not outcome.ok and (outcome.failure is None or outcome.failure.kind is not FailureKind.BAD_REFERENCE)
        for text in outcome.requested
    ]


def run_words(report: Report, run: history.Run) -> str:
    """Name a run with its lists and its start."""
    lists = shorten(clean(" ".join(report.details.lists)), _LONGEST_LISTS)
    return f"run {run.name}{f' of {lists}' if lists else ''} ({timestamp(report.started)})"


def lists_of(report: Report) -> dict[str, Any]:
    """Return the options that name the lists of a run, and their directory."""
    return {"lists": report.details.lists, "images": (), "directory": report.details.directory}


def nothing_failed(options: Mapping[str, Any]) -> NoReturn:
    """Exit with 0, because there is nothing to pull again."""
    if not options["quiet"]:
        click.echo("puller: nothing to pull again: no image failed", err=True)
    click.get_current_context().exit()


def named_run(options: Mapping[str, Any]) -> str:
    """Return the RUN of `--failed`, which may also be the word after it; empty without one.

    Raises click.UsageError if there are lists or images besides.
    """
    which, lists = options["failed"], options["lists"]
    if not which and len(lists) == 1 and history.names_run(lists[0]) and not os.path.lexists(lists[0]):
        which, lists = lists[0], ()
    if which and (lists or options["images"]):
        raise click.UsageError("--failed=RUN takes the images of that run: leave out the LIST and --image")
    return str(which)


def _failed_runs(options: Mapping[str, Any]) -> Iterable[history.Run]:
    """Return the runs that `--failed` may mean."""
    if which := named_run(options):
        return [history.find(which)]
    return history.runs_to_repeat(list_names(options), working_directory())
