"""The options that name the hosts of a fleet, and the run locks of these hosts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from puller.cancellation import Cancellation
from puller.cli.engine import EngineLock
from puller.cli.options import complete_files
from puller.cli.sections import flag, number, section
from puller.engine.interface import Engine
from puller.fleet.hosts import FleetHost, read_hosts
from puller.fleet.run import OpenHost

PARALLEL_HOSTS = 20

host_options = section(
    "Hosts",
    click.option(
        "--hosts", "host_files", envvar="PULLER_HOSTS", metavar="FILE", multiple=True, shell_complete=complete_files,
        help="A file of hosts: text with a URL a line, or TOML; - is standard input. May be repeated.",
    ),
    click.option(
        "--host", "host_urls", envvar="PULLER_HOST", metavar="URL", multiple=True,
        help="A host: ssh://USER@HOST:PORT or a name for ssh, tcp://HOST:PORT, unix:///PATH, context:NAME; may be "
        "repeated.",
    ),
    click.option(
        "--inventory", "inventories", envvar="PULLER_INVENTORY", metavar="FILE", multiple=True,
        shell_complete=complete_files, help="An inventory of Ansible, in INI or YAML; may be repeated.",
    ),
    click.option(
        "--group", "host_groups", envvar="PULLER_GROUP", metavar="NAME", multiple=True,
        help="Only the hosts of this group; may be repeated.",
    ),
    number("--parallel-hosts", default=PARALLEL_HOSTS, help="Hosts that are asked at the same time."),
    flag("--insecure", help="Connect to tcp:// hosts without TLS too: whoever sees it can take over the host."),
)  # fmt: skip
"""The options `host_files`, `host_urls`, `inventories`, `host_groups`, `parallel_hosts` and `insecure`."""


def hosts_of(options: Mapping[str, Any]) -> tuple[FleetHost, ...]:
    """Return the hosts that `host_options` name; raises click.UsageError if they name none, and ListError."""
    files, urls, inventories = options["host_files"], options["host_urls"], options["inventories"]
    if not (files or urls or inventories):
        raise click.UsageError("no hosts given: pass --hosts FILE, --inventory FILE or --host URL")
    return read_hosts(files, urls, inventories, options["host_groups"])


def locking(connect: OpenHost, options: Mapping[str, Any], *names: str) -> OpenHost:
    """Return a function that connects to a host while it has the host's lock, as `LOCK_OPTIONS` say.

    The lock is that of this machine for the host's URL; `names` describe this run to others. Raises EngineBusyError.
    """

    @contextmanager
    def open_locked(host: FleetHost, *, cancel: Cancellation, **how: Any) -> Iterator[Engine]:
        with EngineLock({**options, "jitter": 0.0}, *names) as lock:
            lock.take(host.url, host=host.name, sleep=cancel.sleep)
            with connect(host, cancel=cancel, **how) as engine:
                yield engine

    return open_locked
