"""`puller report`: a past run's report once more."""

import click

from puller.cli.output import emit
from puller.report import RENDERERS, history


@click.command("report")
@click.argument("run", metavar="[RUN]", default="1")
@click.option("--format", "form", type=click.Choice([*RENDERERS]), default="text", help="Form of the report.")
def command(run: str, form: str) -> None:
    """Show the report of a past RUN once more, in any form.

    RUN is a number (1, the default, is the newest, 2 the one before), or a name from `puller history`, or the beginning
    of one.

    \b
    puller report 2
    puller report 20261123T03 --format json
    """  # noqa: D301 - click wants the control character itself
    emit(RENDERERS[form](history.find(run).report()))
