"""`puller pull`: the main job."""

import gc
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from typing import Any, NamedTuple

import click

from puller.cancellation import interruptible
from puller.cli.engine import EngineLock, is_without_engine, open_engine
from puller.cli.failed_images import failed_images
from puller.cli.lists import requested_images
from puller.cli.output import deliver
from puller.cli.progress import Log, follow, open_log
from puller.cli.pull_options import pull_options, settings_of
from puller.cli.registries import account_notes, login_problems, tell
from puller.cli.run_details import run_details
from puller.cli.sections import EXIT_CODES, UNITS, SectionedCommand
from puller.cli.signals import Signals, handled
from puller.engine.disk import MORE_SPACE, DiskShortage
from puller.engine.interface import ImageStore
from puller.engine.model import LocalImages
from puller.errors import EngineUnreachableError, FailureKind, OutputError
from puller.events import Observer
from puller.failure import failure
from puller.imagelist.requests import RequestedImages
from puller.model import ENGINE_GONE, Report
from puller.prune.pull_record import remember_pulls
from puller.prune.remove import make_room
from puller.pull.session import PullSession, pull_nothing
from puller.registry.client import RegistryClient
from puller.settings import Settings
from puller.system import files
from puller.system.credentials import Keyring
from puller.text import plain_error


class _Run(NamedTuple):
    """What is pulled, and how it is shown."""

    options: Mapping[str, Any]
    images: RequestedImages
    settings: Settings
    signals: Signals
    keyring: Keyring
    log: Log

    def observe(self) -> AbstractContextManager[Observer]:
        return follow(self.log, self.settings.jobs)

    def pull(self, session: PullSession) -> Report:
        """Pull; after a signal the report is still complete."""

        def work() -> Report:
            report = session.pull(self.images.requests, self.images.rejected)
            self.signals.finish()
            return report

        return interruptible(work, self.signals.cancellation)

    def nothing(self, kind: FailureKind, why: str) -> Report:
        return pull_nothing(self.images.requests, failure(kind, why), self.images.rejected)


@click.command(
    "pull", cls=SectionedCommand,
    common=("jobs", "policy", "failed", "prefetch", "quiet", "verbose", "format", "reports"),
    epilog="Every option can also be set by an environment variable (PULLER_JOBS=5, PULLER_TIMEOUT=10m) or in a file: "
    f"see docs/configuration.md. `puller config` shows the effective settings.\n\n{UNITS}\n\n{EXIT_CODES}",
)  # fmt: skip
@pull_options
def command(**options: Any) -> int:
    """Pull every image of the lists, and report on each.

    LIST is an image, a file, a directory, a URL or - for stdin: plain lines, or a file with images (Compose,
    Kubernetes, Dockerfile, CI files, …). The report goes to stdout, progress to stderr.

    \b
    puller pull images.txt -j 3
    puller pull nginx:1.27 redis:7 --format json
    """  # noqa: D301 - click wants the control character itself
    if options["host_urls"]:
        few: int = import_module("puller.cli.commands.fleet_pull").pull_into_few(options)
        return few
    images = requested_images(options, report_bad=False) if options["failed"] is None else failed_images(options)
    settings = settings_of(options)
    for _, path in options["reports"]:
        files.check(path)
    keyring, notes = Keyring(), login_problems(images.requests)
    if not options["quiet"]:
        tell(notes)
    with (
        handled() as signals,
        open_log(options, sys.stderr) as log,
        EngineLock(options, "pull", *options["lists"], *options["images"]) as lock,
        ExitStack() as after_report,
    ):
        run = _Run(options, images, settings, signals, keyring, log)
        report = _pull_into_files(run) if options["to"] else _pull_into_engine(run, lock, after_report)
        signals.finish()
        log.end()
        if not (options["quiet"] and report.ok):  # a public image needs no login, and quiet success is silent
            tell((*(notes if options["quiet"] else ()), *account_notes(keyring, notes)))
        code = signals.exit_code or report.exit_code
        try:
            deliver(report._replace(details=run_details(options, report, int(code))), options)
        except OutputError as error:
            if not code:
                raise OutputError(f"every image is present, but a report is missing: {error}") from None
            click.echo(f"puller: {error}", err=True)
    return signals.exit_code or code


def _pull_into_files(run: _Run) -> Report:
    from puller.blobs.export import layout_settings, open_layout  # noqa: PLC0415 - slow to import, and only for --to

    settings, (kind, path) = layout_settings(run.settings), run.options["to"]
    with (
        RegistryClient.of(settings, keyring=run.keyring) as registries,
        open_layout(path, settings, registries, archive=kind == "archive") as engine,
        run.observe() as observer,
        PullSession(engine, registries, settings, observer, cancel=run.signals.cancellation) as session,
    ):
        return run.pull(session)


def _pull_into_engine(run: _Run, lock: EngineLock, after_report: ExitStack) -> Report:
    """Pull; `after_report` records the pulls for `puller prune`, compared with the images before the run."""
    options = run.options
    try:
        engine = open_engine(options, run.settings.jobs, lock, run.keyring)
    except EngineUnreachableError as error:
        kind = error.kind if error.kind in ENGINE_GONE else FailureKind.DAEMON_UNREACHABLE
        hint = "; without an engine, --to oci:DIR or archive:FILE pulls into files" if is_without_engine(kind) else ""
        run.log.fail(f"puller: {error}{hint}")
        return run.nothing(kind, str(error))
    except KeyboardInterrupt as interrupt:
        return run.nothing(FailureKind.CANCELLED, str(interrupt))
    after_report.callback(engine.close)
    gc.freeze()
    gc.enable()
    removals: list[str] = []

    def free_space(shortage: DiskShortage) -> bool:
        listed = [each.reference for each in run.images.requests]
        return make_room(shortage, engine.store, listed, removals.append)

    room, cancel = free_space if options["make_room"] else None, run.signals.cancellation
    with (
        RegistryClient.of(run.settings, lambda: engine.store.facts().insecure, run.keyring) as registries,
        run.observe() as observer,
        PullSession(engine, registries, run.settings, observer, cancel=cancel, make_room=room) as session,
    ):
        before = session.images_before
        report = run.pull(session)
    after_report.callback(_remember, report, engine.store, before, options["verbose"])
    notes = () if run.log.tells_records else session.notes
    tell((*removals, *(note.text for note in notes if options["verbose"] or not note.detail)))
    if session.shortage and options["format"] != "text":  # the text report says it
        more = "see `docker system df`" if options["make_room"] else MORE_SPACE
        click.echo(f"puller: {session.shortage}; {more}; --no-disk-check pulls anyway", err=True)
    return report


def _remember(report: Report, store: ImageStore, before: Future[LocalImages], verbose: int) -> None:
    try:
        remember_pulls(report, store, before)
    except Exception as error:  # noqa: BLE001 - a pull must not fail because its record fails
        if verbose:
            why = "the engine did not list its images" if isinstance(error, TimeoutError) else plain_error(error)
            click.echo(f"puller: the pulls were not recorded for `puller prune`: {why}", err=True)
