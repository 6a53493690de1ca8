"""`puller resume`: a run by a broker goes on."""

from time import time
from typing import Any

import click

from puller.cli.fleet_store import opened_store, run_argument, store_options
from puller.cli.sections import SectionedCommand


@click.command("resume", cls=SectionedCommand)
@run_argument
@store_options
def command(**options: Any) -> None:
    """Let a RUN go on that was paused, or that a canary or --max-fail halted.

    After a halt, the hosts that have failed do not count any more, and the next canary begins.

    \b
    puller resume 1
    """  # noqa: D301 - click wants the control character itself
    with opened_store(options) as store:
        run = store.find(options["run"])
        store.resume(run, time())
    click.echo(f"puller: {run.name} goes on", err=True)
