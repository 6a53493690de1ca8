"""`puller watch`: a run by a broker until it is over."""

from typing import Any

import click

from puller.cli.fleet_store import newest_run, opened_store, report_format, store_options
from puller.cli.progress import ProgressMode
from puller.cli.run_watch import watch_run
from puller.cli.sections import SectionedCommand, choice, flag, section
from puller.cli.signals import handled


@click.command(
    "watch", cls=SectionedCommand,
    epilog="Exit codes: 0 all images are present on all hosts, 1 some failed, 3 what is missing is on hosts that are "
    "offline, 4 the run was halted, 75 all failures are temporary, 129/130/143 interrupted.",
)  # fmt: skip
@newest_run
@store_options
@section(
    "Output",
    choice("--progress", default=ProgressMode.AUTO, help="Kind of progress on stderr."),
    flag("-q", "--quiet", help="No progress."),
    report_format,
)  # fmt: skip
def command(**options: Any) -> int:
    """Follow a submitted RUN until it is over, and show its report. Ctrl-C ends only that.

    RUN is a number (1 is the newest and the default), a name from `puller runs`, or the beginning of one.

    \b
    puller watch 1
    """  # noqa: D301 - click wants the control character itself
    with handled() as signals, opened_store(options) as store:
        name = store.find(options["run"]).name
        how = {key: options[key] for key in ("quiet", "progress", "form")}
        return watch_run(store, name, signals, **how)
