"""`puller controller`: records the results of runs by a broker, and takes the runs further."""

import re
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from puller.cancellation import interruptible
from puller.cli.broker_options import address_of, broker_options, connect_broker
from puller.cli.fleet_store import opened_store, runs_module, store_option
from puller.cli.options import Parsed, duration
from puller.cli.sections import SectionedCommand, section
from puller.cli.signals import handled
from puller.text import clean, timestamp

_HIGHEST_PORT = 65535


def _address(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})", text)
    if not match or int(match[2]) > _HIGHEST_PORT:
        raise ValueError(f"{text!r} is not 127.0.0.1:PORT: the page has no login, and others must not reach it")
    return match[1].strip("[]"), int(match[2])


@click.command(
    "controller", cls=SectionedCommand,
    epilog="Exit codes: 2 wrong usage, 129/130/143 ended by a signal.",
)  # fmt: skip
@broker_options
@section(
    "Runs",
    store_option,
    click.option(
        "--listen",
        type=Parsed("address", _address),
        metavar="127.0.0.1:PORT",
        help="Serve a page of the runs, and /metrics for Prometheus.",
    ),
    duration("--check-after", default="30s", help="Look at a host's queue after this long without a result."),
    duration("--keep", help="Remove runs from the store this long after their end, such as 90d; else all are kept."),
    duration("--lost-after", default="15m", help="Publish again what a worker took and said nothing of for this long."),
)
def command(**options: Any) -> int:
    """Publish the tasks of submitted runs wave by wave, and record the results in the store, until ended by a signal.

    It may be stopped at any time: workers go on, their results wait in the broker, and the next controller goes on
    where this one was.

    \b
    PULLER_BROKER=amqps://controller:PASSWORD@broker.example puller controller --listen 127.0.0.1:8080
    """  # noqa: D301 - click wants the control character itself
    address_of(options)  # a wrong one is found before the store is made
    patience = (options["check_after"], options["lost_after"])
    with handled() as signals, opened_store(options) as store, ExitStack() as stack:
        controller = runs_module("controller").Controller(
            store,
            partial(connect_broker, options),
            say=_say,
            patience=runs_module("dispatcher").Patience(*patience),
            keep=options["keep"] or None,
        )
        if options["listen"]:
            url = stack.enter_context(runs_module("page").served(store, controller, options["listen"]))
            _say(f"listening on {url}")
        interruptible(lambda: controller.serve(signals.cancellation), signals.cancellation)
    return signals.exit_code or 0


def _say(line: str) -> None:
    click.echo(f"{timestamp(datetime.now(UTC))} {clean(line)}", err=True)
