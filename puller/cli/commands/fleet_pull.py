"""`puller fleet pull`: the main job on the engines of many hosts."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from puller.cancellation import interruptible
from puller.cli.fleet_failed import failed_on_hosts
from puller.cli.fleet_options import PARALLEL_HOSTS, WAVES, host_options, hosts_of, locking
from puller.cli.lists import requested_images
from puller.cli.options import complete_files, refuse, registry_limit
from puller.cli.output import deliver
from puller.cli.progress import open_log
from puller.cli.progress.fleet import follow_fleet
from puller.cli.progress.fleet_state import FleetTotals
from puller.cli.pull_options import pull_options, settings_of
from puller.cli.registries import account_notes, login_problems, tell
from puller.cli.run_details import run_details
from puller.cli.sections import SectionedCommand, flag, section
from puller.cli.signals import handled
from puller.errors import OutputError, UsageError
from puller.fleet.connection import open_host, target_of
from puller.fleet.hosts import FleetHost, host_line
from puller.fleet.model import FleetOptions
from puller.fleet.run import FleetRun
from puller.imagelist.requests import RequestedImages
from puller.model import Report
from puller.model.hosts import HostState
from puller.registry.client import RegistryClient
from puller.report.hosts import host_names
from puller.settings import Settings
from puller.system import files
from puller.system.credentials import Keyring
from puller.text import clean, counted, shorten

if TYPE_CHECKING:
    from puller.fleet.feed import Feed

_F = TypeVar("_F", bound="Callable[..., Any]")
_MOST = 1000
_LONGEST_NAMES = 200
ABSENT: Mapping[str, Any] = {
    "make_room": False, "backend": "api", "docker_command": "docker", "context": None,
    "prefetch": "never", "to": None, "no_extras": False, "network_wait": 60.0, "fail_fast": False, "max_fail": None,
    "jitter": 0.0,
}  # fmt: skip
"""Options of `puller pull` that are for one engine, or for this machine, with what they mean here."""
_FEEDING = ("connections", "registry_connections", "bandwidth", "cache_size")
"""Options that have no effect without --feed."""
_REFUSED: Mapping[str, Sequence[str]] = {
    "`puller fleet pull --failed` pulls what failed": ("failed",),
    "`puller prune --hosts` removes images": ("make_room",),
    "URLs name the engines, such as context:NAME": ("backend", "docker_command", "context"),
    "`puller fleet pull --feed` downloads layers": ("prefetch", *_FEEDING),
    "no files are written": ("to", "no_extras"),
    "hosts have their own networks": ("network_wait",),
    "`puller fleet pull --max-fail` limits how many hosts may fail": ("fail_fast", "max_fail"),
    "`puller fleet pull --wave` begins with a few hosts at a time": ("jitter",),
}
"""Options that `puller pull --host` refuses, by the reason, or by what to use instead."""
_HELP = {
    "failed": "Pull only what failed, into the hosts where it failed: in the last run over hosts (of the LISTs), or in "
    "RUN (see `puller history`).",
    "jobs": "Concurrent pulls on each host.",
    "per_registry": "Concurrent pulls from any one registry on each host.",
    "parallel_hosts": "Hosts that are pulled into at the same time.",
    "bandwidth": "With --feed: bandwidth limit, such as 50MB/s, of all downloads together, and of all that is sent to "
    "the hosts.",
}
"""What options of other verbs do here, where that is something else."""
_FOR_FLEETS: Mapping[str, Any] = {
    "host_files": (), "inventories": (), "host_groups": (), "parallel_hosts": PARALLEL_HOSTS, "insecure": False,
    "canary": 0, "waves": (), "max_fail_hosts": None, "strict": False, "registry_limits": (), "unreachable": None,
    "feed": False,
}  # fmt: skip
"""Options that `puller pull --host` does not have, with their defaults."""


def _shared_options(verb: _F) -> _F:
    """Give a verb the options of `puller pull` that make sense for many hosts."""
    verb = pull_options(verb)
    kept = [each for each in verb.__click_params__ if each.name not in (*ABSENT, "host_urls")]  # type: ignore[attr-defined]
    verb.__click_params__ = kept  # type: ignore[attr-defined]
    return verb


def _reworded(verb: _F) -> _F:
    """Let `--help` say what options of other verbs do here."""
    for option in verb.__click_params__:  # type: ignore[attr-defined]
        option.help = _HELP.get(option.name, getattr(option, "help", None))
    return verb


_wave_options = section(
    "Waves",
    *WAVES,
    flag("--strict", help="An unreachable host counts as failed."),
    click.option(
        "--unreachable", type=click.Path(path_type=Path), metavar="FILE", shell_complete=complete_files,
        help="Write the hosts that could not be reached to a file, for --hosts of the next run.",
    ),
    click.option(
        "--registry-limit", "registry_limits", type=registry_limit(_MOST), envvar="PULLER_REGISTRY_LIMIT",
        multiple=True, metavar="REGISTRY=N",
        help="Concurrent pulls from a registry over all hosts, such as docker.io=10; may be repeated.",
    ),
)  # fmt: skip


_feed_options = section(
    "Prefetching",
    flag(
        "--feed", help="Download each layer once, here, and let all hosts pull it from this machine, through ssh: for "
        "hosts that do not reach the registries, or have no accounts there.",
    ),
)  # fmt: skip


@click.command(
    "pull", cls=SectionedCommand,
    common=(
        "host_files", "host_urls", "jobs", "parallel_hosts", "policy", "failed", "quiet", "verbose", "format",
        "reports",
    ),
    epilog="Exit codes: 0 all images are present on all hosts, 1 some failed, 2 wrong usage or an invalid list, 3 some "
    "hosts could not be reached and the others have all images, 4 a canary or --max-fail halted the run, 74 a report "
    "cannot be written, 75 all failures are temporary, 129/130/143 interrupted.",
)  # fmt: skip
@_reworded
@host_options
@_wave_options
@_feed_options
@_shared_options
def command(**options: Any) -> int:
    """Pull every image of the lists into the engines of many hosts, and report on each.

    Tags are resolved to digests once, so that every host gets the same images. --jobs is for each host.

    \b
    puller fleet pull images.txt --hosts hosts.txt
    puller fleet pull images.txt --hosts hosts.txt --canary 1 --wave 10% --max-fail 5%
    puller fleet pull images.txt --inventory inventory.ini --group build --registry-limit docker.io=10
    puller fleet pull --failed
    """  # noqa: D301 - click wants the control character itself
    if not options["feed"]:
        refuse(_FEEDING, "without --feed each host downloads by itself")
    given = {**ABSENT, **options}
    if given["failed"] is None:
        return pull_into_hosts(given, hosts_of(given), requested_images(given, report_bad=False))
    hosts, images = failed_on_hosts(given)
    return pull_into_hosts(given, hosts, images)


def pull_into_few(options: Mapping[str, Any]) -> int:
    """Do what `puller pull --host URL` asks for; raises click.UsageError for options that are for one engine.

    In a file or a variable these are for other runs.
    """
    for why, names in _REFUSED.items():
        refuse(names, f"with --host, {why}")
    given = {**options, **ABSENT, "failed": None, **_FOR_FLEETS}
    return pull_into_hosts(given, hosts_of(given), requested_images(given, report_bad=False))


def pull_into_hosts(options: Mapping[str, Any], hosts: Sequence[FleetHost], images: RequestedImages) -> int:
    """Pull into the engines of the hosts; returns the exit code."""
    settings = settings_of(options)
    if options["feed"] and (others := [host.name for host in hosts if target_of(host) is None]):
        named = shorten(", ".join(others), _LONGEST_NAMES)
        raise click.UsageError(f"--feed needs ssh, and these hosts are reached otherwise: {named}")
    for path in (*(path for _, path in options["reports"]), *filter(None, (options["unreachable"],))):
        files.check(path)
    keyring, notes = Keyring(), login_problems(images.requests)
    if not options["quiet"]:
        tell(notes)
    how = FleetOptions(
        options["parallel_hosts"], options["canary"], options["waves"] or (), options["max_fail_hosts"],
        options["strict"], options["registry_limits"], options["feed"],
    )  # fmt: skip
    with (
        handled() as signals,
        open_log(options, sys.stderr) as log,
        RegistryClient.of(settings, keyring=keyring) as registries,
        _feed(options, settings, registries) as feed,
    ):
        connect = partial(feed.open_host if feed else open_host, insecure=options["insecure"])
        run = FleetRun(
            hosts, images.requests, settings, how, registries, keyring=keyring, cancel=signals.cancellation,
            connect=locking(connect, options, ("fleet pull", *options["lists"], *options["images"])),
        )  # fmt: skip
        if run.parallel < min(how.parallel_hosts, len(hosts)) and not options["quiet"]:
            tell([f"{counted(run.parallel, 'host')} at a time: more would need too many threads or open files"])

        def work() -> Report:
            report = run.run(images.rejected)
            signals.finish()
            return report

        with follow_fleet(log, FleetTotals(len(hosts), len(images.requests), run.parallel, settings.jobs)) as seen:
            run.observe(seen.event, seen.fleet_event)
            report = interruptible(work, signals.cancellation)
        signals.finish()
        log.end()
        if not options["quiet"]:
            tell([f"the same engine: {host_names(same)}; keep one of them" for same in run.same_engines])
        if not (options["quiet"] and report.ok):
            tell((*(notes if options["quiet"] else ()), *account_notes(keyring, notes)))
        if feed and not options["quiet"]:
            tell(feed.notes)
        _deliver(report, options, hosts, int(signals.exit_code or report.exit_code))
    return signals.exit_code or report.exit_code


def _feed(
    options: Mapping[str, Any], settings: Settings, registries: RegistryClient
) -> "AbstractContextManager[Feed | None]":
    """Serve images from this machine, if the options say so; raises UsageError if that is impossible."""
    if not options["feed"]:
        return nullcontext()
    from puller.fleet.feed import open_feed  # noqa: PLC0415 - its web server is slow to import

    return open_feed(registries, settings.prefetch)


def _deliver(report: Report, options: Mapping[str, Any], hosts: Sequence[FleetHost], code: int) -> None:
    """Write the file of unreachable hosts and the reports; raises OutputError if that is all that went wrong."""
    report, problems = report._replace(details=run_details(options, report, code)), []
    try:
        if path := options["unreachable"]:
            files.write(path, unreachable_hosts(report, hosts))
    except UsageError as error:
        problems.append(str(error))
    try:
        deliver(report, options)
    except OutputError as error:
        problems.append(str(error))
    if problems and not code:
        words = "\n".join(problems)
        raise OutputError(f"every image is present, but a report is missing: {words}")
    for problem in problems:
        click.echo(f"puller: {problem}", err=True)


def unreachable_hosts(report: Report, hosts: Sequence[FleetHost]) -> str:
    """Return a file of the hosts that could not be reached, which `--hosts` reads."""
    found = {host.name for host in report.fleet.in_state(HostState.UNREACHABLE)} if report.fleet else set[str]()
    first = f"# {counted(len(found), 'host')} not reached by `{clean(report.details.command)}`"
    return "\n".join([first, *(host_line(host) for host in hosts if host.name in found)]) + "\n"
