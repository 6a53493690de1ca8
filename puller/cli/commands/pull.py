"""`puller pull`: the main job."""

import gc
from dataclasses import dataclass
from typing import Any

import click

from puller.cli.again import failed_plan
from puller.cli.engine_run import Run
from puller.cli.keeping import Keeper
from puller.cli.logins import warn
from puller.cli.options import engine_options, list_options, make_plan
from puller.cli.output import Output, deliver
from puller.cli.progress import ProgressMode
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
from puller.cli.run_lock import RunLockOption, RunLockSettings
from puller.cli.sections import SectionedCommand
from puller.cli.signals import handled
from puller.cli.to import Target, pull_to
from puller.engine import connect, identity
from puller.errors import EngineUnreachableError, FailureKind
from puller.failure import Failure, classify, failure
from puller.imagelist.requests import RequestedImages
from puller.model import ENGINE_GONE, Report
from puller.pull.ahead import ahead
from puller.pull.run import pull_nothing
from puller.settings import BackendChoice, Settings
from puller.system import files


@dataclass(frozen=True, slots=True)
class _Engine:
    """How to reach the engine."""

    choice: BackendChoice
    command: str
    context: str | None
    disk_check: bool = True
    make_room: bool = False
    instead: Target | None = None
    """Where images are put without one."""


@click.command(
    "pull",
    cls=SectionedCommand,
    context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Every option can be given as an environment variable, too: PULLER_JOBS=5, PULLER_TIMEOUT=10m; or in a "
    "file: see docs/configuration.md, and `puller config` for what is in force.",
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

    LIST is a file, a directory, a URL or - for stdin: plain lines, or where images are written down already (Compose,
    Kubernetes, Dockerfile, CI files, …). The report goes to stdout, progress to stderr.

    \b
    puller pull images.txt -j 3
    puller pull --image nginx:1.27 --image redis:7 --format json
    """  # noqa: D301 - click wants the control character itself
    if options["failed"]:
        todo = failed_plan(options)
    else:
        todo = make_plan(options["lists"], options["images"], options["platform"], skip_invalid=options["skip_invalid"])
    choice = BackendChoice(options["backend"])
    disk_check = not options["no_disk_check"]
    engine = _Engine(
        choice, options["docker_command"], options["context"], disk_check, options["make_room"], options["to"]
    )
    output = Output(
        options["format"],
        options["reports"],
        quiet=options["quiet"],
        verbose=options["verbose"],
        progress=ProgressMode.QUIET if options["quiet"] else ProgressMode(options["progress"]),
        junit_skip_up_to_date=options["junit_skip_up_to_date"],
    )
    turn = RunLockOption(RunLockSettings.of(options), "pull", *options["lists"], *options["images"])
    ctx.exit(_pull(todo, engine, settings_of(options), output, turn))


def _pull(todo: RequestedImages, engine: _Engine, settings: Settings, output: Output, turn: RunLockOption) -> int:

    keeper = Keeper()
    for _, path in output.reports:
        files.check(path)
    if not output.quiet:
        warn(todo.requests)
    with handled() as signals, turn:
        if engine.instead:
            report = pull_to(engine.instead, todo, settings, progress=output.progress, verbose=output.verbose)
        else:
            report = _run(todo, engine, settings, output, turn, keeper)
        signals.finish()
        if output.quiet and not report.ok:  # a public image needs no login, and quiet success is silent
            warn(todo.requests)
        try:
            deliver(report, output)
        finally:
            keeper.keep(report, verbose=output.verbose)
    return signals.exit_code or int(report.exit_code)


def _run(
    todo: RequestedImages, engine: _Engine, settings: Settings, output: Output, turn: RunLockOption, keeper: Keeper
) -> Report:

    try:
        turn.begin(identity(engine.choice, docker_command=engine.command, context=engine.context))
        backend = connect(
            engine.choice, docker_command=engine.command, context=engine.context, connections=settings.jobs
        )
        holdings = ahead(backend.store.holdings)
        ahead(backend.store.facts)  # which the store then knows, for all who ask it later

        run = Run(todo, backend, settings, holdings)
    except EngineUnreachableError as error:
        click.echo(f"puller: {error}; without an engine, --to oci:DIR or archive:FILE pulls into files", err=True)
        why = failure(error.kind, str(error)) if error.kind else classify(str(error))
        if why.kind not in ENGINE_GONE:
            why = failure(FailureKind.DAEMON_UNREACHABLE, str(error))
        return _nothing(todo, why)
    except KeyboardInterrupt as interrupt:
        return _nothing(todo, failure(FailureKind.CANCELLED, str(interrupt)))
    gc.freeze()
    gc.enable()
    return run.report(output, keeper, disk_check=engine.disk_check, make_room=engine.make_room)


def _nothing(todo: RequestedImages, why: Failure) -> Report:

    return pull_nothing(todo.requests, why, todo.rejected)
