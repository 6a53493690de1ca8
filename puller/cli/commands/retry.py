"""`puller retry`: what failed in a run by a broker, once more."""

from time import time
from typing import Any

import click

from puller.cli.fleet_store import expires_option, opened_store, run_argument, store_option
from puller.cli.sections import SectionedCommand, section
from puller.text import counted


@click.command("retry", cls=SectionedCommand)
@run_argument
@section("Runs", store_option, expires_option)
def command(**options: Any) -> None:
    """Publish again what failed, expired or was cancelled in a RUN, with the same digests.

    Hosts that have not begun stay so while the run is halted; see `puller resume RUN`.

    \b
    puller retry 1
    """  # noqa: D301 - click wants the control character itself
    with opened_store(options) as store:
        run = store.find(options["run"])
        number = store.retry(run, time(), options["expires"])
    words = f"{counted(number, 'pull')} of {run.name} will be published again" if number else "nothing failed"
    click.echo(f"puller: {words}", err=True)
