"""`puller fleet check`: whether the engines of many hosts can be reached, and what they are."""

from typing import Any

import click

from puller.cancellation import interruptible
from puller.cli.fleet_options import host_options, hosts_of
from puller.cli.output import emit, wants_color
from puller.cli.sections import SectionedCommand, text_or_json
from puller.cli.signals import handled
from puller.errors import CancelledError
from puller.fleet.check import HostCheck, check_hosts, exit_code, render_json, render_text
from puller.text import counted


@click.command(
    "check", cls=SectionedCommand,
    epilog="Exit codes: 0 all hosts were reached; 2 usage or a bad list of hosts; 3 some hosts were not reached.",
)  # fmt: skip
@host_options
@text_or_json
def command(**options: Any) -> int:
    """Check that the engines of many hosts can be reached, and show what they are.

    Shows the version, store, platform, free disk space and clock of each engine, with one login a host. Nothing is
    changed on the hosts.

    \b
    puller fleet check --hosts hosts.txt
    puller fleet check --inventory inventory.ini --group build
    puller fleet check --host ssh://build@web1 --host context:staging --format json
    """  # noqa: D301 - click wants the control character itself
    hosts = hosts_of(options)
    with handled() as signals:
        cancel, parallel, insecure = signals.cancellation, options["parallel_hosts"], options["insecure"]

        def tell(done: int) -> None:
            click.echo(f"puller: {done} of {counted(len(hosts), 'host')} checked", err=True)

        def check() -> tuple[HostCheck, ...]:
            return check_hosts(hosts, parallel=parallel, cancel=cancel, insecure=insecure, on_wait=tell)

        try:
            checks = interruptible(check, cancel)
        except CancelledError as error:
            click.echo(f"puller: {error}; nothing was changed on the hosts", err=True)
            return signals.exit_code or 1
        signals.finish()
    color = wants_color()
    emit(render_json(checks) if options["form"] == "json" else render_text(checks, color=color), color=color)
    return signals.exit_code or exit_code(checks)
