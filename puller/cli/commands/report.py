"""`puller report`: the report of an earlier run."""

import click

from puller.cli.output import emit_report
from puller.report import RENDERERS, history


@click.command("report")
@click.argument(
    "run", metavar="[RUN]", default="1", shell_complete=lambda _ctx, _param, text: history.beginning_with(text)
)
@click.option("--format", "form", type=click.Choice([*RENDERERS]), default="text", help="Format of the report.")
def command(run: str, form: str) -> None:
    """Show the report of an earlier RUN, in any format.

    RUN is a number (1 is the newest and the default, 2 the one before), or a name, or the beginning of one, from
    `puller history`.

    \b
    puller report 2
    puller report 20261123T03 --format json
    """  # noqa: D301 - click wants the control character itself
    found = history.find(run)
    emit_report(found.report(), form, found.name)
