"""The options that name the hosts of a fleet, and the run locks of these hosts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import click

from puller.cancellation import Cancellation
from puller.cli.engine import EngineLock
from puller.cli.options import FAILURE_LIMIT, Parsed, complete_files, refuse, typed
from puller.cli.sections import flag, number, section
from puller.engine.interface import Engine
from puller.fleet.hosts import FleetHost, read_hosts
from puller.fleet.model import OpenHost
from puller.fleet.waves import parse_waves
from puller.system.clock import monotonic
from puller.text import clean

PARALLEL_HOSTS = 20
_F = TypeVar("_F", bound="Callable[..., Any]")
_NAMING = ("host_files", "host_urls", "inventories", "host_groups")
_FOR_ONE_ENGINE = ("backend", "docker_command", "context")


class HostWork(NamedTuple):
    """What came of a command on one host."""

    code: int
    """The exit code that it would have had for this engine alone."""
    cells: tuple[str, ...]
    """What the table has beside the host's name and state."""
    details: tuple[str, ...]
    """Lines about what is wrong there."""
    document: Mapping[str, Any]
    """The JSON document of the command."""


naming_options = section(
    "Hosts",
    click.option(
        "--hosts", "host_files", envvar="PULLER_HOSTS", metavar="FILE", multiple=True, shell_complete=complete_files,
        help="A file of hosts: text with one URL per line, or TOML; - is standard input. May be repeated.",
    ),
    click.option(
        "--host", "host_urls", envvar="PULLER_HOST", metavar="URL", multiple=True,
        help="A host: ssh://USER@HOST:PORT or a name for ssh, tcp://HOST:PORT, unix:///PATH, context:NAME; "
        "'URL name=NAME' names it. May be repeated.",
    ),
    click.option(
        "--inventory", "inventories", envvar="PULLER_INVENTORY", metavar="FILE", multiple=True,
        shell_complete=complete_files, help="An inventory of Ansible, in INI or YAML; may be repeated.",
    ),
    click.option(
        "--group", "host_groups", envvar="PULLER_GROUP", metavar="NAME", multiple=True,
        help="Only the hosts of this group; may be repeated.",
    ),
)  # fmt: skip
"""The options `host_files`, `host_urls`, `inventories` and `host_groups`."""

WAVES = (
    number("--canary", default=0, least=0, metavar="N", help="Begin with N hosts, and go on only if they succeed."),
    click.option(
        "--wave", "waves", type=Parsed("wave", parse_waves), metavar="N|N%[,…]",
        help="Hosts of a wave, or a list of sizes whose last is repeated, such as 1,5,10%; a wave begins when the one "
        "before has ended.",
    ),
    click.option(
        "--max-fail", "max_fail_hosts", type=FAILURE_LIMIT, envvar="PULLER_MAX_FAIL_HOSTS", metavar="N|N%",
        help="Begin with no further host when more hosts than this have failed.",
    ),
)  # fmt: skip
"""The options of a run whose hosts begin one after the other."""

host_options = section(
    "Hosts",
    naming_options,
    number("--parallel-hosts", default=PARALLEL_HOSTS, help="Hosts that are asked at the same time."),
    flag("--insecure", help="Connect to tcp:// hosts without TLS too: whoever sees it can take over the host."),
)  # fmt: skip
"""The options `host_files`, `host_urls`, `inventories`, `host_groups`, `parallel_hosts` and `insecure`."""


def hosts_of(options: Mapping[str, Any]) -> tuple[FleetHost, ...]:
    """Return the hosts that `host_options` name; raises click.UsageError if they name none, and ListError.

    Files without hosts end the program with 0: a run in cron may use the file of hosts that another could not reach.
    """
    files, urls, inventories = options["host_files"], options["host_urls"], options["inventories"]
    if not (files or urls or inventories):
        raise click.UsageError("no hosts given: pass --hosts FILE, --inventory FILE or --host URL")
    hosts = read_hosts(files, urls, inventories, options["host_groups"])
    if not hosts:
        click.echo(f"puller: {clean(', '.join(files))}: no hosts, so there is nothing to do", err=True)
        click.get_current_context().exit()
    return hosts


def hosts_options(verb: _F) -> _F:
    """Give a command for one engine `host_options`; those that name hosts count only on the command line."""
    verb = host_options(verb)
    for param in verb.__click_params__:  # type: ignore[attr-defined]
        if param.name in _NAMING:
            param.envvar, param.allow_from_autoenv, param.section = None, False, "Hosts"
    return verb


def named_hosts(options: Mapping[str, Any]) -> tuple[FleetHost, ...]:
    """Return the hosts that the command line names; empty if it names none.

    Files and variables do not count: no command for this host's engine becomes one for all hosts by itself. Raises
    click.UsageError for options that are for one engine, and ListError.
    """
    if not (naming := typed(_NAMING)):
        return ()
    refuse(_FOR_ONE_ENGINE, "the hosts name the engines")
    return hosts_of({name: options[name] if name in naming else () for name in _NAMING})


def locking(connect: OpenHost, options: Mapping[str, Any], names: Sequence[str]) -> OpenHost:
    """Return a function that connects to a host while it has the host's lock, as `LOCK_OPTIONS` say.

    The lock is that of this machine for the host's URL; `names` describe this run to others. Raises EngineBusyError
    instead of waiting: other hosts take the place of this one, which may be tried again until `--lock-wait` is over.
    """
    ends: dict[str, float] = {}

    @contextmanager
    def open_locked(host: FleetHost, *, cancel: Cancellation, **how: Any) -> Iterator[Engine]:
        end = ends.setdefault(host.name, monotonic() + options["lock_wait"])
        with EngineLock(options, *names) as lock:
            lock.take_now(host.url, f"the engine of {host.name}", end)
            with connect(host, cancel=cancel, **how) as engine:
                yield engine

    return open_locked
