"""`puller runs`: the runs by a broker, and their removal."""

import sys
from collections.abc import Iterator
from time import time
from typing import TYPE_CHECKING, Any

import click

from puller.cli.fleet_store import opened_store, store_options
from puller.cli.options import duration
from puller.cli.output import emit, emit_json
from puller.cli.sections import SectionedCommand, flag, section, text_or_json
from puller.errors import UsageError
from puller.fleet.runs.model import RunCounts, RunRecord
from puller.model import Status
from puller.model.hosts import HostState
from puller.text import aligned, clean, counted, shorten, timestamp

if TYPE_CHECKING:  # it needs the extra
    from puller.fleet.runs.store import Store

_LONGEST_LISTS = 60
_COLUMNS = ("RUN", "STARTED (UTC)", "STATE", "HOSTS", "PULLS", "FAILED", "OFFLINE", "LISTS")


@click.command("runs", cls=SectionedCommand)
@click.argument("names", metavar="[RUN]...", nargs=-1)
@store_options
@section(
    "Selection",
    duration("--older-than", help="Only runs that ended longer ago, such as 30d."),
    flag("--remove", help="Remove these runs from the store."),
    flag("-y", "--yes", help="Do not ask for confirmation."),
    text_or_json,
)
def command(**options: Any) -> None:
    """List the submitted runs, newest last: how many hosts and pulls are done, and how many have failed.

    With --remove they are removed, with all their results; a run that is not over is not. RUN is a number (1 is the
    newest), a name, or the beginning of one.

    \b
    puller runs
    puller runs --older-than 30d --remove
    puller runs 20261129T12 --remove --yes
    """  # noqa: D301 - click wants the control character itself
    remove, asks = options["remove"], options["remove"] and not options["yes"]
    if remove and not options["names"] and options["older_than"] is None:
        raise click.UsageError("--remove needs a RUN, or --older-than D")
    if asks and not (sys.stdin and sys.stdin.isatty()):
        raise click.UsageError("not a terminal: confirm with --yes, or leave out --remove for a preview")
    with opened_store(options) as store:
        selected = _selected(store, options)
        found = [(run, store.counts(run.name)) for run in selected]
        if options["form"] == "json":
            emit_json("runs", runs=[_document(*each) for each in found])
        elif found:
            emit("\n".join(aligned([_COLUMNS, *_rows(found)], (3, 4, 5, 6))) + "\n")
        if not found:
            such = "such " if options["names"] or options["older_than"] is not None else ""
            click.echo(f"puller: the store has no {such}runs", err=True)
        elif remove and (not asks or click.confirm("Remove them?", err=True)):
            store.remove([run.name for run in selected])
            click.echo(f"puller: {counted(len(found), 'run')} removed", err=True)


def _selected(store: "Store", options: dict[str, Any]) -> list[RunRecord]:
    """Return the runs that are meant; raises UsageError for a RUN that is not over and is to be removed."""
    names, older, now = options["names"], options["older_than"], time()
    selected = store.runs(ended_before=None if older is None else now - older)
    if names:
        wanted = {store.find(name).name for name in names}
        selected = [run for run in selected if run.name in wanted]
    if not options["remove"]:
        return selected
    for run in selected:
        if names and not run.removable(now):
            raise UsageError(f"run {run.name} is not over, or the controller has not taken back its tasks: it stays")
    return [run for run in selected if run.removable(now)]


def _rows(found: list[tuple[RunRecord, RunCounts]]) -> Iterator[tuple[str, ...]]:
    for run, counts in found:
        yield (
            run.name,
            timestamp(run.started).removesuffix("Z").replace("T", " "),
            run.state_word,
            *counts.cells,
            shorten(clean(", ".join(run.details.lists)), _LONGEST_LISTS),
        )


def _document(run: RunRecord, counts: RunCounts) -> dict[str, Any]:
    return {
        "run": run.name,
        "started": timestamp(run.started),
        "state": run.state.value,
        "halted": run.halted or None,
        "lists": list(run.details.lists),
        "hosts": {state.value: counts.hosts.get(state, 0) for state in HostState},
        "pulls": {status: counts.images.get(status, 0) for status in (*Status, "expired")},
    }
