"""`puller pull`: the main job."""

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import click

from puller.cli.options import Target, engine_options, list_options, make_plan
from puller.cli.output import Output, deliver
from puller.cli.progress import ProgressMode, observe
from puller.cli.pull_options import (
    concurrency_options,
    lock_options,
    mirror_options,
    output_options,
    prefetch_options,
    retry_options,
    selection_options,
)
from puller.cli.pull_settings import settings_of
from puller.cli.run_lock import EngineLock, RunLockSettings
from puller.cli.sections import SectionedCommand
from puller.cli.signals import Signals, handled
from puller.engine import connect, locate
from puller.engine.disk import DiskShortage
from puller.engine.interface import Engine, ImageStore
from puller.engine.model import LocalImages
from puller.errors import EngineUnreachableError, FailureKind, ListError
from puller.failure import classify, failure
from puller.imagelist import Source
from puller.imagelist.entry import entry_of
from puller.imagelist.requests import RequestedImages, request_images
from puller.model import ENGINE_GONE, PullRequest, Report
from puller.pull.session import PullSession, pull_nothing
from puller.registry.client import RegistryClient
from puller.report import history
from puller.settings import BackendChoice, Settings
from puller.system import docker_config, files
from puller.text import clean


class _Run(NamedTuple):
    """What is pulled, and how it is shown."""

    images: RequestedImages
    settings: Settings
    output: Output
    signals: Signals

    def pull(self, session: PullSession) -> Report:
        """Pull; after a signal the report is still complete."""
        return self.signals.run(lambda: session.pull(self.images.requests, self.images.rejected))

    def nothing(self, kind: FailureKind, why: str) -> Report:
        return pull_nothing(self.images.requests, failure(kind, why), self.images.rejected)


@click.command(
    "pull",
    cls=SectionedCommand,
    context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Every option can also be set by an environment variable (PULLER_JOBS=5, PULLER_TIMEOUT=10m) or in a file: "
    "see docs/configuration.md. `puller config` shows the effective settings.",
)
@list_options
@selection_options
@engine_options
@concurrency_options
@mirror_options
@prefetch_options
@retry_options
@lock_options
@output_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Pull every image of the lists, and report on each.

    LIST is a file, a directory, a URL or - for stdin: plain lines, or a file with images (Compose, Kubernetes,
    Dockerfile, CI files, …). The report goes to stdout, progress to stderr.

    \b
    puller pull images.txt -j 3
    puller pull --image nginx:1.27 --image redis:7 --format json
    """  # noqa: D301 - click wants the control character itself
    images = _failed_images(options) if options["failed"] else make_plan(options, report_bad=False)
    output = Output(
        options["format"],
        options["reports"],
        quiet=options["quiet"],
        verbose=options["verbose"],
        progress=ProgressMode.QUIET if options["quiet"] else ProgressMode(options["progress"]),
        junit_skip_up_to_date=options["junit_skip_up_to_date"],
    )
    settings = settings_of(options)
    for _, path in output.reports:
        files.check(path)
    if not output.quiet:
        _warn_about_logins(images.requests)
    with (
        handled() as signals,
        EngineLock(RunLockSettings.of(options), "pull", *options["lists"], *options["images"]) as lock,
    ):
        run = _Run(images, settings, output, signals)
        if options["to"]:
            report, remember = _pull_into_files(run, options["to"]), None
        else:
            report, remember = _pull_into_engine(run, options, lock)
        signals.finish()
        if output.quiet and not report.ok:  # a public image needs no login, and quiet success is silent
            _warn_about_logins(images.requests)
        try:
            deliver(report, output)
        finally:
            if remember:
                _remember(report, remember, output.verbose)
    ctx.exit(signals.exit_code or int(report.exit_code))


def _pull_into_files(run: _Run, target: Target) -> Report:
    from puller.blobs.export import layout_settings, open_layout  # noqa: PLC0415 - slow to import, and only for --to

    settings = layout_settings(run.settings)
    with (
        RegistryClient.of(settings) as registries,
        open_layout(target.path, settings, registries, archive=target.kind == "archive") as engine,
        observe(run.output.progress, sys.stderr, verbose=run.output.verbose) as observer,
        PullSession(engine, registries, settings, observer, cancel=run.signals.cancellation) as session,
    ):
        return run.pull(session)


def _pull_into_engine(
    run: _Run, options: Mapping[str, Any], lock: EngineLock
) -> tuple[Report, Callable[[Report], None] | None]:
    """Pull; the second value records the pulls for `puller prune`, compared with the images before the run."""
    choice, command = BackendChoice(options["backend"]), options["docker_command"]
    try:
        address = locate(choice, docker_command=command, context=options["context"])
        lock.take(address.identity)
        engine = connect(address, choice, docker_command=command, connections=run.settings.jobs)
    except EngineUnreachableError as error:
        click.echo(f"puller: {error}; without an engine, --to oci:DIR or archive:FILE pulls into files", err=True)
        kind = error.kind or classify(str(error)).kind
        return run.nothing(kind if kind in ENGINE_GONE else FailureKind.DAEMON_UNREACHABLE, str(error)), None
    except KeyboardInterrupt as interrupt:
        return run.nothing(FailureKind.CANCELLED, str(interrupt)), None
    gc.freeze()
    gc.enable()
    removals: list[str] = []
    room = partial(_make_room, engine, run.images, removals) if options["make_room"] else None
    with (
        observe(run.output.progress, sys.stderr, verbose=run.output.verbose) as observer,
        PullSession(engine, None, run.settings, observer, cancel=run.signals.cancellation, make_room=room) as session,
    ):
        before = session.images_before
        report = run.pull(session)
    details = [note.text for note in session.notes if run.output.verbose or not note.detail]
    for note in (*removals, *details):
        click.echo(f"puller: {clean(note)}", err=True)
    if session.shortage:
        click.echo(f"puller: {session.shortage}; --no-disk-check pulls anyway", err=True)
    return report, partial(_remember_pulls, store=engine.store, before=before.result)


def _make_room(engine: Engine, images: RequestedImages, removals: list[str], shortage: DiskShortage) -> bool:
    from puller.prune.remove import make_room  # noqa: PLC0415 - only a disk that is too small needs it

    return make_room(shortage, engine.store, [each.reference for each in images.requests], removals.append)


def _remember_pulls(report: Report, store: ImageStore, before: Callable[[], LocalImages]) -> None:
    from puller.prune.pull_record import remember_pulls  # noqa: PLC0415 - not for --to, nor where no engine answers

    remember_pulls(report, store, before)


def _remember(report: Report, remember: Callable[[Report], None], verbose: int) -> None:
    try:
        remember(report)
    except Exception as error:  # noqa: BLE001 - a pull must not fail because its record fails
        if verbose:
            click.echo(f"puller: the pulls were not recorded for `puller prune`: {clean(str(error))}", err=True)


def _failed_images(options: Mapping[str, Any]) -> RequestedImages:
    """Return the images that failed or were cancelled in the last run; exits with 0 when there are none.

    Bad lines are left out. Raises click.UsageError when there is also a list, and UsageError when the history is empty.
    """
    if options["lists"] or options["images"]:
        raise click.UsageError("--failed takes its images from the last run: leave out the LIST and --image")
    run = history.find()
    missed = [outcome for outcome in run.report().outcomes if not outcome.ok]
    items = [
        entry_of(text, Source(run.path.name), str(outcome.platform) if outcome.platform else None)
        for outcome in missed
        if outcome.failure is None or outcome.failure.kind is not FailureKind.BAD_REFERENCE
        for text in outcome.requested
    ]
    made = request_images(items, platform=options["platform"])
    if made.bad:
        raise ListError([str(line) for line in made.bad])
    if not options["quiet"]:
        number = f"{len(made.requests)} image{'s' if len(made.requests) != 1 else ''}"
        words = f"{number} to pull again from run {run.name}" if items else f"nothing failed in run {run.name}"
        click.echo(f"puller: {words}", err=True)
    if not items:
        click.get_current_context().exit()
    return made


def _warn_about_logins(requests: Sequence[PullRequest]) -> None:
    """Report on stderr why logins for the registries of these images cannot be read, one line for each reason."""
    registries = dict.fromkeys(request.reference.registry for request in requests)
    for problem in docker_config.login_problems(registries, os.environ):
        click.echo(f"puller: {problem}", err=True)
