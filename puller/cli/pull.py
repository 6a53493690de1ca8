"""`puller pull`: the main job."""

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from puller import files
from puller.classify import classify, failure
from puller.cli.again import failed_plan
from puller.cli.deliver import Output, deliver
from puller.cli.logins import warn
from puller.cli.options import engine_options, list_options, make_plan
from puller.cli.prefetch_options import prefetch_options
from puller.cli.pull_options import (
    mirror_options,
    need_options,
    output_options,
    pace_options,
    patience_options,
    turn_options,
)
from puller.cli.sections import SectionedCommand
from puller.cli.settings import settings_of
from puller.cli.turn import Manners, Turn
from puller.config import BackendChoice, Settings
from puller.errors import EngineUnreachableError, FailureKind
from puller.model import ENGINE_GONE
from puller.progress import ProgressMode

if TYPE_CHECKING:
    from puller.classify import Failure
    from puller.cli.keeping import Keeper
    from puller.cli.to import Target
    from puller.model import Report
    from puller.plan import Plan


@dataclass(frozen=True, slots=True)
class _Engine:
    """How to reach the engine."""

    choice: BackendChoice
    command: str
    context: str | None
    disk_check: bool = True
    make_room: bool = False
    instead: "Target | None" = None
    """Where images are put without one."""


@click.command(
    "pull",
    cls=SectionedCommand,
    context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Every option can be given as an environment variable, too: PULLER_JOBS=5, PULLER_TIMEOUT=10m; or in a "
    "file: see docs/configuration.md, and `puller config` for what is in force.",
)
@list_options
@need_options
@engine_options
@pace_options
@mirror_options
@prefetch_options
@patience_options
@turn_options
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
    turn = Turn(Manners.of(options), "pull", *options["lists"], *options["images"])
    ctx.exit(_pull(todo, engine, settings_of(options), output, turn))


def _pull(todo: "Plan", engine: _Engine, settings: Settings, output: Output, turn: Turn) -> int:
    from puller.cli.keeping import Keeper  # noqa: PLC0415 - heavy, as what follows: not for --help
    from puller.cli.signals import handled  # noqa: PLC0415
    from puller.cli.to import pull_to  # noqa: PLC0415

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


def _run(todo: "Plan", engine: _Engine, settings: Settings, output: Output, turn: Turn, keeper: "Keeper") -> "Report":
    from puller.ahead import ahead  # noqa: PLC0415 - as above
    from puller.backends import connect, identity  # noqa: PLC0415

    try:
        turn.begin(identity(engine.choice, docker_command=engine.command, context=engine.context))
        backend = connect(
            engine.choice, docker_command=engine.command, context=engine.context, connections=settings.jobs
        )
        holdings = ahead(backend.store.holdings)
        ahead(backend.store.facts)  # which the store then knows, for all who ask it later
        from puller.cli.engine_run import Run  # noqa: PLC0415 - now, since the engine answers meanwhile

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


def _nothing(todo: "Plan", why: "Failure") -> "Report":
    from puller.orchestrator import pull_nothing  # noqa: PLC0415 - as above

    return pull_nothing(todo.requests, why, todo.rejected)
