"""`puller cancel`: the end of a run by a broker."""

from time import time
from typing import Any

import click

from puller.cli.fleet_store import opened_store, run_argument, store_options
from puller.cli.sections import SectionedCommand
from puller.text import counted


@click.command("cancel", cls=SectionedCommand)
@run_argument
@store_options
def command(**options: Any) -> None:
    """Give up what a RUN has not begun; no further host begins.

    The controller removes its tasks from the queues, also those of hosts that are offline. Pulls that run go on, and
    are recorded. `puller retry RUN` takes the run up again.

    \b
    puller cancel 1
    """  # noqa: D301 - click wants the control character itself
    with opened_store(options) as store:
        name = store.find(options["run"]).name
        number = store.cancel(name, time())
    click.echo(f"puller: {name} is cancelled: {counted(number, 'pull')} without a result", err=True)
