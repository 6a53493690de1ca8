"""`puller pause`: a run by a broker publishes nothing for now."""

from typing import Any

import click

from puller.cli.fleet_store import opened_store, run_argument, store_options
from puller.cli.sections import SectionedCommand


@click.command("pause", cls=SectionedCommand)
@run_argument
@store_options
def command(**options: Any) -> None:
    """Let a RUN publish no further task; `puller resume RUN` lets it go on.

    The controller takes back the tasks that no worker has begun, also those of hosts that are offline. Pulls that run
    go on, and are recorded.

    \b
    puller pause 1
    """  # noqa: D301 - click wants the control character itself
    with opened_store(options) as store:
        name = store.find(options["run"]).name
        store.pause(name)
    click.echo(f"puller: {name} is paused", err=True)
