"""`puller submit`: a run over many hosts that needs neither this terminal nor this machine."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from time import time
from typing import Any

import click

from puller.cancellation import interruptible
from puller.cli.broker_options import address_of, broker_options, connect_broker
from puller.cli.fleet_options import WAVES, hosts_of, naming_options
from puller.cli.fleet_store import expires_option, opened_store, runs_module, store_option
from puller.cli.lists import requested_images
from puller.cli.options import list_options
from puller.cli.output import emit
from puller.cli.registries import registry_client
from puller.cli.run_details import run_details
from puller.cli.run_watch import watch_run
from puller.cli.sections import SectionedCommand, flag, section
from puller.cli.signals import handled
from puller.errors import CancelledError, UsageError
from puller.fleet.pins import Pins
from puller.fleet.queue.messages import POLICIES, is_host_name
from puller.fleet.runs.model import RunOptions
from puller.model import PullRequest, Report, exit_code_of
from puller.settings import Policy
from puller.text import clean, counted, plain_error

_NOTHING = Report(datetime.fromtimestamp(0, UTC), 0.0, ())


@click.command(
    "submit", cls=SectionedCommand,
    common=("host_files", "broker", "store", "policy", "expires", "watch"),
    epilog="Exit codes: 0 the run was submitted, 1 or 75 a tag has no digest, 2 wrong usage or an invalid list; with "
    "--watch those of `puller watch`.",
)  # fmt: skip
@section(
    "Runs",
    store_option,
    expires_option,
    click.option(
        "--policy",
        type=click.Choice([*map(str, POLICIES)]),
        default="newer",
        show_default=True,
        help="Which images hosts pull: those that they do not have by digest (newer), those that they do not have by "
        "name (missing), or all.",
    ),
    flag("--watch", help="Follow the run until it is over; Ctrl-C ends only that."),
    flag("-q", "--quiet", help="Print the name of the run only."),
)
@naming_options
@broker_options
@section("Waves", *WAVES, flag("--strict", help="A host that is offline counts as failed."))
@list_options
def command(**options: Any) -> int:
    """Submit a run over many hosts: workers on the hosts pull the images, also when this machine is off.

    Each host needs `puller worker`; a host that is offline catches up until --expires. Tags are resolved to digests
    once, here. `puller controller` publishes the tasks and records the results; with --broker the first wave is
    published at once. The name of the run is on stdout.

    \b
    PULLER_BROKER=amqps://controller:PASSWORD@broker.example puller submit images.txt --hosts hosts.txt
    puller submit images.txt --hosts hosts.txt --canary 1 --wave 10% --max-fail 5% --watch
    """  # noqa: D301 - click wants the control character itself
    hosts, images = hosts_of(options), requested_images(options, report_bad=False)
    if wrong := next((host.name for host in hosts if not is_host_name(host.name)), None):
        raise UsageError(
            f"{clean(wrong, 100)!r} is no name of a host at a broker: it has letters, digits, '.', '_', '@' and '-'; "
            "add name=… to its line"
        )
    if options["broker"]:
        address_of(options)  # a wrong one must not be found after the run is in the store
    if not images.requests:
        raise UsageError("the lists have no images: nothing was submitted")
    with handled() as signals, opened_store(options) as store:
        try:
            with registry_client() as registries:
                pins = Pins(images.requests, Policy.NEWER)
                interruptible(lambda: pins.resolve(registries, signals.cancellation), signals.cancellation)
            signals.cancellation.check()
        except CancelledError as error:
            click.echo(f"puller: {error}; nothing was submitted", err=True)
            return signals.exit_code or 1
        pinned = _pinned(images.requests, pins)
        if isinstance(pinned, int):
            return pinned
        waves, policy = options["waves"] or (), Policy(options["policy"])
        how = RunOptions(options["canary"], waves, options["max_fail_hosts"], policy, options["strict"])
        details = run_details(options, _NOTHING, 0)
        name = store.add(hosts, pinned, how, details, rejected=images.rejected, seconds=options["expires"])
        emit(f"{name}\n")
        words = f"{counted(len(pinned), 'image')} for {counted(len(hosts), 'host')}"
        _tell(f"submitted {words}; `puller status {name}` shows the run", options)
        if options["broker"]:
            _begin(store, name, options)
        if not options["watch"]:
            signals.finish()
            return 0
        return watch_run(store, name, signals, quiet=options["quiet"])


def _pinned(requests: Sequence[PullRequest], pins: Pins) -> list[tuple[PullRequest, str]] | int:
    """Return the requests with their digests, or the exit code if one has none."""
    for request, why in pins.unresolved.items():
        click.echo(clean(f"puller: {request}: its digest is not known: {why.title}: {why.message}"), err=True)
    for advice in dict.fromkeys(why.advice for why in pins.unresolved.values() if why.advice):
        click.echo(f"→ {advice}", err=True)
    if pins.unresolved:
        click.echo("puller: nothing was submitted: every host must pull the same digest", err=True)
        return int(exit_code_of(pins.unresolved.values()))
    pinned = zip(requests, pins.pinned(), strict=True)
    return [(request, with_digest.reference.digest or "") for request, with_digest in pinned]


def _begin(store: Any, name: str, options: Mapping[str, Any]) -> None:
    """Publish the first wave; a broker that cannot be reached is left to the controller."""
    dispatcher = runs_module("dispatcher").Dispatcher
    try:
        with closing(connect_broker(options)) as broker:
            dispatcher(store, broker, say=partial(_tell, options=options)).step(store.run(name), time())
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the libraries of brokers raise
        _tell(f"the broker did not take the first tasks: {plain_error(error)}; `puller controller` publishes them", {})


def _tell(line: str, options: Mapping[str, Any]) -> None:
    if not options.get("quiet"):
        click.echo(f"puller: {clean(line)}", err=True)
