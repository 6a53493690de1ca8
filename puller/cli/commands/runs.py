"""`puller runs`: the runs by a broker."""

from collections.abc import Iterator
from typing import Any

import click

from puller.cli.fleet_store import opened_store, store_options
from puller.cli.output import emit, emit_json
from puller.cli.sections import SectionedCommand, text_or_json
from puller.fleet.runs.model import RunCounts, RunRecord
from puller.model import Status
from puller.model.hosts import HostState
from puller.text import aligned, clean, shorten, timestamp

_LONGEST_LISTS = 60
_OK = (Status.PULLED, Status.UP_TO_DATE, Status.PRESENT)
_COLUMNS = ("RUN", "STARTED (UTC)", "STATE", "HOSTS", "PULLS", "FAILED", "OFFLINE", "LISTS")


@click.command("runs", cls=SectionedCommand, context_settings={"auto_envvar_prefix": "PULLER"})
@store_options
@text_or_json
def command(**options: Any) -> None:
    """List the submitted runs, newest last: how many hosts and pulls are done, and how many have failed.

    \b
    puller runs
    puller runs --format json
    """  # noqa: D301 - click wants the control character itself
    with opened_store(options) as store:
        found = [(run, store.counts(run.name)) for run in store.runs()]
    if options["form"] == "json":
        emit_json("runs", runs=[_document(*each) for each in found])
    elif found:
        emit("\n".join(aligned([_COLUMNS, *_rows(found)], (3, 4, 5, 6))) + "\n")
    if not found:
        click.echo("puller: the store has no runs", err=True)


def _rows(found: list[tuple[RunRecord, RunCounts]]) -> Iterator[tuple[str, ...]]:
    for run, (hosts, images) in found:
        pulls = f"{sum(images.get(status, 0) for status in _OK)}/{sum(images.values())}"
        yield (
            run.name,
            timestamp(run.started).removesuffix("Z").replace("T", " "),
            "halted" if run.halted else run.state.value,
            f"{hosts.get(HostState.DONE, 0)}/{sum(hosts.values())}",
            pulls,
            str(images.get(Status.FAILED, 0)),
            str(hosts.get(HostState.DEFERRED, 0) + hosts.get(HostState.UNREACHABLE, 0)),
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
