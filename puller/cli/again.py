"""`puller pull --failed`: what failed last, as a list."""

from collections.abc import Mapping
from typing import Any

import click

from puller.errors import FailureKind, ListError
from puller.imagelist import Source
from puller.imagelist.entry import entry_of
from puller.imagelist.requests import RequestedImages, request_images
from puller.report import history


def failed_plan(options: Mapping[str, Any]) -> RequestedImages:
    """Ask again for what failed or was cancelled in the last run, for its platform; end well when nothing did.

    Lines that were no references are left out. Raises click.UsageError when there is a list, too, and UsageError when
    no run is on record.
    """
    if options["lists"] or options["images"]:
        raise click.UsageError("--failed takes its images from the last run: leave out the LIST and --image")
    run = history.find()
    missed = [outcome for outcome in run.report().outcomes if not outcome.ok]
    items = [
        entry_of(text, Source(run.path.name), str(outcome.platform) if outcome.platform else None)
        for outcome in missed
        if outcome.failure is None or outcome.failure.kind is not FailureKind.BAD_REFERENCE
        for text in outcome.requested
    ]
    made = request_images(items, platform=options["platform"])
    if made.bad:
        raise ListError([str(line) for line in made.bad])
    if not options["quiet"]:
        number = f"{len(made.requests)} image{'s' if len(made.requests) != 1 else ''}"
        words = f"{number} to pull again from run {run.name}" if items else f"nothing failed in run {run.name}"
        click.echo(f"puller: {words}", err=True)
    if not items:
        click.get_current_context().exit()
    return made
