"""`puller status`: the report of a run by a broker at any time."""

from typing import Any

import click

from puller.cli.fleet_store import newest_run, opened_store, report_format, runs_module, store_options
from puller.cli.output import emit_report
from puller.cli.sections import SectionedCommand, flag, section
from puller.model.hosts import HostState


@click.command(
    "status", cls=SectionedCommand,
    epilog="Exit codes: 0 all images are present on all hosts, 1 some failed, 3 what is missing is on hosts that are "
    "offline, 4 the run was halted, 75 the run has not ended, or all failures are temporary.",
)  # fmt: skip
@newest_run
@store_options
@section(
    "Output",
    flag("--failed", help="Only the hosts on which an image failed."),
    flag("--offline", help="Only the hosts that are offline, or did not come before the run expired."),
    report_format,
)  # fmt: skip
def command(**options: Any) -> int:
    """Show the report of a submitted RUN at any time, in any format.

    RUN is a number (1 is the newest and the default), a name from `puller runs`, or the beginning of one. The exit code
    is that of the whole run, also with --failed and --offline.

    \b
    puller status 1
    puller status 20261129T12 --failed --format json
    """  # noqa: D301 - click wants the control character itself
    with opened_store(options) as store:
        run = store.find(options["run"])
        reports = runs_module("report")
        report = reports.report_of_run(store, run)
    states = {HostState.FAILED} if options["failed"] else set()
    states |= set(reports.OFFLINE) if options["offline"] else set()
    shown = reports.only(report, states) if states else report
    emit_report(shown, options["form"], run.name)
    return int(report.exit_code)
