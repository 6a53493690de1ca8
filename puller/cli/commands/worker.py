"""`puller worker`: pulls what the controller of a fleet sends to this host."""

import gc
from typing import Any

import click

from puller.cli.broker_options import address_of, broker_options, extra_module
from puller.cli.options import duration, engine_options, mirror_options
from puller.cli.pull_options import ATTEMPTS, attempt_settings
from puller.cli.sections import SectionedCommand, number, section
from puller.errors import UsageError
from puller.fleet.queue.host_pull import HostEngine
from puller.fleet.queue.messages import is_host_name
from puller.settings import BackendChoice
from puller.text import clean


@click.command(
    "worker", cls=SectionedCommand,
    epilog="Exit codes: 0 after SIGTERM, which waits for the pulls in flight; 2 usage.",
)  # fmt: skip
@broker_options
@number("--jobs", "-j", default=3, most=100, help="Pulls at the same time; each has a process.")
@duration("--task-limit", default="1h50m", help="The longest that one image may take, with all waits.")
@engine_options
@mirror_options
@section("Retries and timeouts", *ATTEMPTS)
def command(**options: Any) -> int:
    """Pull what the controller of a fleet sends to this host, until SIGTERM.

    The host has the name of its account at the broker. A broker that cannot be reached is waited for. A pull whose
    process, worker or broker is killed begins again, at most three times. Mirrors, retries and timeouts are those of
    this host: its flags, and the table [worker] of its configuration.

    \b
    PULLER_BROKER=amqps://web-1:PASSWORD@broker.example:5671/puller puller worker
    puller worker --broker amqps://web-1@broker.example --broker-cert web-1.pem --broker-key web-1.key
    """  # noqa: D301 - click wants the control character itself
    address = address_of(options)
    if not is_host_name(address.user):
        raise UsageError(
            f"{clean(address.user, 100)!r} is no name of a host: it has letters, digits, '.', '_', '@' and '-'"
        )
    worker = extra_module("puller.fleet.queue.worker")
    backend, command_, context = (options[name] for name in ("backend", "docker_command", "context"))
    engine = HostEngine(BackendChoice(backend), command_, context, options["task_limit"], attempt_settings(options))
    gc.enable()
    click.echo(f"puller: {address.user} waits for tasks of {address}", err=True)
    code: int = worker.serve(worker.WorkerOptions(address.user, address, options["jobs"], engine))
    return code
