"""`puller pull`: the main job."""

import gc
import sys
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
from puller.events import fan_out
from puller.gate import UNLIMITED
from puller.model import ENGINE_GONE
from puller.progress import ProgressMode, observe
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from puller.backends.base import ImageStore
    from puller.cli.keeping import Keeper
    from puller.cli.to import Target
    from puller.gate import Room
    from puller.model import Report
    from puller.plan import Plan
    from puller.room import EngineRoom


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
    from puller.backends import connect, identity  # noqa: PLC0415
    from puller.cli.prefetch import fed  # noqa: PLC0415
    from puller.orchestrator import pull_all, pull_nothing  # noqa: PLC0415
    from puller.platforms import refuse_what_cannot_be_kept  # noqa: PLC0415
    from puller.registry.advisor import RegistryAdvisor  # noqa: PLC0415
    from puller.room import EngineRoom  # noqa: PLC0415

    try:
        turn.begin(identity(engine.choice, docker_command=engine.command, context=engine.context))
        backend = connect(
            engine.choice, docker_command=engine.command, context=engine.context, connections=settings.jobs
        )
        refuse_what_cannot_be_kept(todo.requests, backend.store)
    except EngineUnreachableError as error:
        click.echo(f"puller: {error}; without an engine, --to oci:DIR or archive:FILE pulls into files", err=True)
        why = classify(str(error))
        if why.kind not in ENGINE_GONE:
            why = failure(FailureKind.DAEMON_UNREACHABLE, str(error))
        return pull_nothing(todo.requests, why, todo.rejected)
    except KeyboardInterrupt as interrupt:
        return pull_nothing(todo.requests, failure(FailureKind.CANCELLED, str(interrupt)), todo.rejected)
    notes: list[str] = []
    told: list[str] = []
    room = EngineRoom(backend.store, notes.append, settings.registries)
    gc.freeze()
    gc.enable()
    with (
        fed(backend, todo.requests, settings) as source,
        observe(output.progress, sys.stderr, verbose=output.verbose) as observer,
    ):
        report = pull_all(
            todo.requests,
            source,
            settings,
            observer=fan_out(keeper.watch(backend.store), observer),
            rejected=todo.rejected,
            advisor=RegistryAdvisor(lambda: backend.store.facts().insecure, settings.registries),
            room=_room(todo, engine, room, backend.store, told.append),
        )
    for note in (*told, *(notes if output.verbose else ())):
        click.echo(f"puller: {clean(note)}", err=True)
    if room.shortage:
        click.echo(f"puller: {room.shortage}; --no-disk-check pulls all the same", err=True)
    return report


def _room(
    todo: "Plan", engine: _Engine, room: "EngineRoom", store: "ImageStore", tell: "Callable[[str], None]"
) -> "Room":
    """Choose how the disk is looked at; making room is for few runs."""
    if not engine.disk_check:
        return UNLIMITED
    if not engine.make_room:
        return room
    from puller.make_room import RoomMaker  # noqa: PLC0415

    return RoomMaker(room, store, [each.reference for each in todo.requests], tell)
