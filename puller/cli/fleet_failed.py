"""`puller fleet pull --failed`: what a run over hosts did not pull, into the hosts where it is missing."""

from typing import Any

import click

from puller.cli.failed_images import failed_entries, lists_of, named_run, nothing_failed, run_words
from puller.cli.lists import requested_images
from puller.cli.options import refuse
from puller.cli.output import working_directory
from puller.cli.run_details import list_names
from puller.errors import UsageError
from puller.fleet.hosts import FleetHost
from puller.fleet.url import read_url
from puller.imagelist.requests import RequestedImages
from puller.model.hosts import HostResult
from puller.report import history
from puller.text import clean, counted

_HOSTS = ("host_files", "host_urls", "inventories", "host_groups")


def failed_on_hosts(options: dict[str, Any]) -> tuple[tuple[FleetHost, ...], RequestedImages]:
    """Return the hosts of an earlier run that lack images, and the images that any of them lacks.

    What one of these hosts has is not pulled again. Exits with 0 if no host lacks an image. The lists of that run
    become those of this one. Raises click.UsageError for options that name hosts, and UsageError if there is no such
    run.
    """
    refuse(_HOSTS, "--failed takes the hosts of that run")
    which = named_run(options)
    run = history.find(which) if which else history.last_over_hosts(list_names(options), working_directory())
    report = run.report()
    if not report.fleet:
        raise UsageError(f"run {run.name} was not over hosts: puller pull --failed={run.name}")
    lacking = {outcome.host for outcome in report.outcomes if not outcome.ok}
    hosts = tuple(_host_again(each) for each in report.fleet.hosts if each.name in lacking)
    items = failed_entries(report, run)
    if not (hosts and items):
        nothing_failed(options)
    made = requested_images(options, items)
    if not options["quiet"]:
        amount = f"{counted(len(made.requests), 'image')} into {counted(len(hosts), 'host')}"
        click.echo(f"puller: pulling {amount}: what {run_words(report, run)} did not pull", err=True)
    options |= lists_of(report)
    return hosts, made


def _host_again(host: HostResult) -> FleetHost:
    """Return a host of a report; raises UsageError if the report does not have its address."""
    try:
        return FleetHost(host.name, read_url(host.url), host.jobs)
    except ValueError:
        words = (
            f"the address of {clean(host.name)} in that run cannot be used: name the hosts (--hosts), without --failed"
        )
        raise UsageError(words) from None
