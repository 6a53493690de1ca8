"""`puller pull`: the main job."""

import gc
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from importlib import import_module
from itertools import pairwise
from socket import gethostname
from typing import Any, NamedTuple, NoReturn

import click

from puller import __version__
from puller.cancellation import interruptible
from puller.cli.engine import EngineLock, is_without_engine, open_engine
from puller.cli.options import make_plan, typed
from puller.cli.output import deliver, working_directory
from puller.cli.progress import Log, follow, open_log
from puller.cli.pull_options import pull_options, settings_of
from puller.cli.registries import account_notes, tell
from puller.cli.sections import EXIT_CODES, UNITS, SectionedCommand
from puller.cli.signals import Signals, handled
from puller.engine.disk import MORE_SPACE, DiskShortage
from puller.engine.interface import ImageStore
from puller.engine.model import LocalImages
from puller.errors import EngineUnreachableError, FailureKind, OutputError, UsageError
from puller.events import Observer
from puller.failure import failure
from puller.imagelist import Source
from puller.imagelist.entry import BadLine, Entry, entry_of
from puller.imagelist.requests import RequestedImages
from puller.model import ENGINE_GONE, PullRequest, Report, RunDetails
from puller.prune.pull_record import remember_pulls
from puller.prune.remove import make_room
from puller.pull.session import PullSession, pull_nothing
from puller.registry.client import RegistryClient
from puller.report import history
from puller.settings import Settings
from puller.system import docker_config, files
from puller.system.credentials import Keyring
from puller.text import clean, counted, plain_error, shorten, source_name, timestamp

_NO_VALUE = re.compile(r"^(--build-arg=[^=]*)=.*", re.DOTALL)
_TARGET = ("backend", "docker_command", "context", "mirror_use")
_LONGEST_COMMAND = 1000
"""Characters of the command line that the report keeps."""
_LONGEST_LISTS = 200
_RECORD_SECONDS = 5.0
"""How long the record of pulled images waits for the list of the images before the run."""


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
    "pull", cls=SectionedCommand, context_settings={"auto_envvar_prefix": "PULLER"},
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
    images = make_plan(options, report_bad=False) if options["failed"] is None else _failed_images(options)
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


def run_details(options: Mapping[str, Any], report: Report, code: int) -> RunDetails:
    """Describe this run; the values of build arguments may be secret."""
    words = [
        _NO_VALUE.sub(r"\1", f"{before}={word}" if before == "--build-arg" else word)
        for before, word in pairwise(sys.argv)
    ]
    words = [word for word in words if word != "--build-arg"]
    command = clean(shlex.join(["puller", *map(source_name, words)]), _LONGEST_COMMAND)
    return report.details._replace(
        host=clean(gethostname()),
        lists=list_names(options),
        directory=options.get("directory", working_directory()),
        target=_target(options),
        command=command,
        version=__version__,
        exit_code=code,
    )


def list_names(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the lists and images of the command line, as reports name them."""
    return tuple(clean(source_name(each)) for each in (*options["lists"], *options["images"]))


def _target(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options of the command line that name the engine or mirrors."""
    words = [f"--{name.replace('_', '-')}={options[name]}" for name in typed(_TARGET)]
    given = options["mirrors"] if typed(["mirrors"]) else ()
    return (*words, *(f"--mirror={registry}={place}" for registry, place in given))


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
    after_report.callback(_remember, report, engine.store, partial(before.result, _RECORD_SECONDS), options["verbose"])
    notes = () if run.log.tells_records else session.notes
    tell((*removals, *(note.text for note in notes if options["verbose"] or not note.detail)))
    if session.shortage and options["format"] != "text":  # the text report says it
        more = "see `docker system df`" if options["make_room"] else MORE_SPACE
        click.echo(f"puller: {session.shortage}; {more}; --no-disk-check pulls anyway", err=True)
    return report


def _remember(report: Report, store: ImageStore, before: Callable[[], LocalImages], verbose: int) -> None:
    try:
        remember_pulls(report, store, before)
    except Exception as error:  # noqa: BLE001 - a pull must not fail because its record fails
        if verbose:
            why = "the engine did not list its images" if isinstance(error, TimeoutError) else plain_error(error)
            click.echo(f"puller: the pulls were not recorded for `puller prune`: {why}", err=True)


def _failed_images(options: dict[str, Any]) -> RequestedImages:
    """Return the images of an earlier run that failed or were cancelled; exits with 0 when there are none.

    Bad lines are left out. The lists of that run, with their directory, become those of this one. Raises
    click.UsageError when there are both a run and a list, and UsageError when there is no such run.
    """
    for run in _failed_runs(options):
        report = run.report()
        if report.fleet:
            raise UsageError(f"run {run.name} was over hosts: puller fleet pull --failed={run.name}")
        if items := failed_entries(report, run):
            break
    else:
        nothing_failed(options)
    made = make_plan(options, items)
    if not options["quiet"]:
        click.echo(
            f"puller: pulling {counted(len(made.requests), 'image')} that failed in {run_words(report, run)}", err=True
        )
    options |= lists_of(report)
    return made


def failed_entries(report: Report, run: history.Run) -> list[Entry | BadLine]:
    """Return the images of a run that failed or were cancelled, as entries of a list; bad lines are left out."""
    return [
        entry_of(text, Source(run.path.name), str(outcome.platform) if outcome.platform else None)
        for outcome in report.outcomes
        if not outcome.ok and (outcome.failure is None or outcome.failure.kind is not FailureKind.BAD_REFERENCE)
        for text in outcome.requested
    ]


def run_words(report: Report, run: history.Run) -> str:
    """Name a run with its lists and its start."""
    lists = shorten(clean(" ".join(report.details.lists)), _LONGEST_LISTS)
    return f"run {run.name}{f' of {lists}' if lists else ''} ({timestamp(report.started)})"


def lists_of(report: Report) -> dict[str, Any]:
    """Return the options that name the lists of a run, and their directory."""
    return {"lists": report.details.lists, "images": (), "directory": report.details.directory}


def nothing_failed(options: Mapping[str, Any]) -> NoReturn:
    """Exit with 0, because there is nothing to pull again."""
    if not options["quiet"]:
        click.echo("puller: nothing to pull again: no image failed", err=True)
    click.get_current_context().exit()


def named_run(options: Mapping[str, Any]) -> str:
    """Return the RUN of `--failed`, which may also be the word after it; empty without one.

    Raises click.UsageError if there are lists or images besides.
    """
    which, lists = options["failed"], options["lists"]
    if not which and len(lists) == 1 and history.names_run(lists[0]) and not os.path.lexists(lists[0]):
        which, lists = lists[0], ()
    if which and (lists or options["images"]):
        raise click.UsageError("--failed=RUN takes the images of that run: leave out the LIST and --image")
    return str(which)


def _failed_runs(options: Mapping[str, Any]) -> Iterable[history.Run]:
    """Return the runs that `--failed` may mean."""
    if which := named_run(options):
        return [history.find(which)]
    return history.runs_to_repeat(list_names(options), working_directory())


def login_problems(requests: Sequence[PullRequest]) -> list[str]:
    """Return why logins for the registries of these images cannot be read, one line for each reason."""
    registries = dict.fromkeys(request.reference.registry for request in requests)
    return [*docker_config.login_problems(registries, os.environ)]
