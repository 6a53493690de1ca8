"""`puller broker`: prepares the broker of a fleet."""

from pathlib import Path
from typing import Any

import click

from puller.cancellation import interruptible
from puller.cli.broker_options import address_of, extra_module, tls_options
from puller.cli.config_option import configured
from puller.cli.options import complete_files, registry_limit
from puller.cli.output import emit
from puller.cli.sections import SectionedCommand, section
from puller.cli.signals import handled
from puller.errors import CancelledError, UsageError
from puller.fleet.hosts import read_hosts
from puller.fleet.queue.accounts import Accounts
from puller.fleet.queue.control import RabbitControl
from puller.fleet.queue.definitions import CONTROLLER, definitions
from puller.fleet.queue.messages import is_host_name
from puller.system import files
from puller.text import clean, counted

_MOST = 10_000


@click.command("init", cls=SectionedCommand)
@section(
    "Fleet",
    click.option(
        "--hosts", "host_files", envvar="PULLER_HOSTS", metavar="FILE", multiple=True, shell_complete=complete_files,
        help="A file of hosts as for `puller fleet`, whose names are used; may be repeated.",
    ),
    click.option("--host", "host_urls", metavar="NAME", multiple=True, help="A host; may be repeated."),
    click.option(
        "--token", "tokens", type=registry_limit(_MOST), metavar="REGISTRY=N", multiple=True,
        help="At most N pulls from a registry over all hosts; may be repeated.",
    ),
)  # fmt: skip
@section(
    "Broker",
    click.option(
        "--url", metavar="URL", help="The broker as hosts reach it, amqps://HOST:5671/puller."
    ),
    *tls_options,
    click.option(
        "--accounts", type=click.Path(path_type=Path), metavar="DIR",
        help="A folder with a file NAME.env for each account, with its password, which is made if there is none. "
        "Without it, accounts have no passwords, but certificates.",
    ),
    click.option(
        "--rabbitmqctl", default="rabbitmqctl", metavar="PROGRAM", show_default=True, help="The program of RabbitMQ."
    ),
    click.option(
        "--definitions", type=click.Path(path_type=Path), metavar="FILE",
        help="Write the definitions to this file instead, for `rabbitmqctl import_definitions` on another machine.",
    ),
)  # fmt: skip
def init(**options: Any) -> int:
    """Create accounts, permissions, queues and tokens on RabbitMQ.

    Runs rabbitmqctl, as root on the machine of the broker; the management plugin is not needed. Run it again, with the
    same --accounts, for new hosts, other numbers of tokens, and tokens that were lost. Nothing is removed.

    \b
    puller broker init --url amqps://broker.example/puller --hosts hosts.txt --accounts accounts --token docker.io=10
    """  # noqa: D301 - click wants the control character itself
    names = _names(options)
    if not options["url"]:
        raise click.UsageError("no broker given: pass --url amqps://HOST:5671/puller")
    accounts = Accounts(options["url"], options["accounts"])
    passwords = {name: accounts.password(name) for name in (*names, CONTROLLER)}
    controller, tokens = passwords.pop(CONTROLLER), dict(options["tokens"])
    text = definitions(passwords, tokens, controller, accounts.vhost)
    if options["definitions"]:
        files.write(options["definitions"], text, private=True)
        return 0
    with handled() as signals:
        control = RabbitControl(options["rabbitmqctl"], accounts.vhost, signals.cancellation)

        def work() -> dict[str, int]:
            control.import_definitions(text)
            return control.missing_tokens(tokens)

        try:
            missing = interruptible(work, signals.cancellation)
        except CancelledError as error:
            click.echo(f"puller: {error}; run it again", err=True)
            return signals.exit_code or 1
        signals.finish()
    if missing:
        broker = extra_module("puller.fleet.queue.rabbitmq")
        address = address_of(options, accounts.url(CONTROLLER))
        for queue, number in missing.items():
            broker.add_tokens(address, queue, number)
    emit(f"{counted(len(names), 'host')}, {counted(sum(missing.values()), 'new token')}\n")
    return 0


def _names(options: dict[str, Any]) -> list[str]:
    if not (options["host_files"] or options["host_urls"]):
        raise click.UsageError("no hosts given: pass --hosts FILE or --host NAME")
    names = [host.name for host in read_hosts(options["host_files"], options["host_urls"], (), ())]
    for name in names:
        if not is_host_name(name) or name == CONTROLLER:
            words = "letters, digits, '.', '_', '@' and '-'"
            raise UsageError(f"{clean(name, 100)!r} is no name of a host at the broker: it has {words}; add name=…")
    return names


@click.group("broker")
def command() -> None:
    """Prepare the broker of a fleet, RabbitMQ.

    \b
    puller broker init --url amqps://broker.example/puller --hosts hosts.txt --token docker.io=10
    """  # noqa: D301 - click wants the control character itself


command.add_command(configured(init))
