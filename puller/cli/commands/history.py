"""`puller history`: the last runs."""

import shutil
import sys
from datetime import UTC, datetime

import click

from puller.cli.output import emit
from puller.cli.sections import text_or_json
from puller.errors import UsageError
from puller.report import history
from puller.report.history_table import ASCII_BLOCKS, BLOCKS, render_json, render_text


@click.command("history")
@text_or_json
def command(form: str) -> None:
    """List the last runs of `puller pull`, newest last, with charts of time and failures.

    Each run saves its report in the state directory ($XDG_STATE_HOME/puller, or ~/.local/state/puller); the last 50
    are kept. `puller report RUN` shows one of them, `puller pull --failed=RUN` pulls again what failed in it.

    \b
    puller history
    puller history --format json
    """  # noqa: D301 - click wants the control character itself
    found, now = [], datetime.now(UTC)
    for run in history.runs():
        try:
            found.append((run.name, summary := run.summary()))
            if summary.started > now:
                click.echo(f"puller: run {run.name} started in the future: this host's clock was ahead", err=True)
        except UsageError as error:
            click.echo(f"puller: {error}", err=True)
    if form == "json":
        emit(render_json(found))
    else:
        unicode = (sys.stdout.encoding or "ascii").lower().startswith("utf")
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        emit(render_text(found, BLOCKS if unicode else ASCII_BLOCKS, width))
    if not found:
        click.echo("puller: there are no runs in the history", err=True)
