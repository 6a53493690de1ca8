"""`puller prune`: remove what puller brought and no list wants any more."""

import sys
from typing import Any

import click

from puller.cli.asking import asking
from puller.cli.options import LOCK_OPTIONS, SIZE, engine_options, list_options, make_plan
from puller.cli.output import emit
from puller.cli.run_lock import RunLockOption, RunLockSettings
from puller.cli.sections import SectionedCommand, section
from puller.engine import connect, identity
from puller.engine.disk import free_bytes
from puller.engine.interface import ImageStore
from puller.errors import ExitCode, UsageError
from puller.imagelist.requests import RequestedImages
from puller.prune import render
from puller.prune.remove import PruneCandidates, Removal, forget, look, remove
from puller.settings import BackendChoice
from puller.text import format_bytes


@click.command(
    "prune",
    cls=SectionedCommand,
    context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Exit codes: 0 all that may go has gone; 1 something could not be removed; 2 usage or a bad list; "
    "69 no engine; 75 another run is at this engine.",
)
@list_options
@engine_options
@section(
    "What goes",
    click.option("--until-free", type=SIZE, metavar="SIZE", help="Stop when so much is free, such as 20GB or 512MiB."),
    click.option(
        "--keep-last", type=click.IntRange(0, 1000), default=0, metavar="N",
        help="Keep the N newest of the images that puller brought of each repository.",
    ),
    click.option("-y", "--yes", is_flag=True, help="Do not ask."),
    click.option("--dry-run", is_flag=True, help="Only show what may go."),
    click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the output."),
)  # fmt: skip
@section("Beside other runs", *LOCK_OPTIONS)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Remove images that puller brought, that no LIST names and that no container uses.

    What was wanted longest ago goes first. An image that somebody else pulled, built or named stays. Name all LISTs
    that this host lives by: what none of them names may go. Platforms make no difference here.

    \b
    puller prune images.txt --dry-run
    puller prune *.txt compose.yaml --until-free 20GB --keep-last 2 --yes
    """  # noqa: D301 - click wants the control character itself
    asks = not (options["yes"] or options["dry_run"])
    if asks and not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: add --yes, or --dry-run to see what would go")
    todo = make_plan(options["lists"], options["images"], options["platform"], skip_invalid=options["skip_invalid"])
    for line in todo.bad:
        click.echo(str(line), err=True)
    with RunLockOption(RunLockSettings.of(options), "prune", *options["lists"]) as turn:
        steps = _at_the_engine(todo, options, turn, asks=asks)
    ctx.exit(ExitCode.FAILED if any(step.error for step in steps) else ExitCode.OK)


def _at_the_engine(todo: RequestedImages, options: dict[str, Any], turn: RunLockOption, *, asks: bool) -> list[Removal]:

    choice, command, context = BackendChoice(options["backend"]), options["docker_command"], options["context"]
    turn.begin(identity(choice, docker_command=command, context=context))
    backend = connect(choice, docker_command=command, context=context)
    try:
        with asking():
            return _prune(todo, backend.store, options, asks=asks)
    finally:
        backend.close()


def _prune(todo: RequestedImages, store: ImageStore, options: dict[str, Any], *, asks: bool) -> list[Removal]:

    wanted: int | None = options["until_free"]
    text, dry_run = options["form"] == "text", options["dry_run"]
    free, note = free_bytes(store.facts())
    if wanted is not None and free is None:
        raise UsageError(f"--until-free: free disk cannot be seen: {note}")
    found = look(store, [request.reference for request in todo.requests], keep_last=options["keep_last"])
    if text or asks:
        shown = render.before(found, until=_until(wanted, free))
        emit(shown) if text else click.echo(shown, nl=False, err=True)
    steps: list[Removal] = []
    if found.plan.going and not dry_run and (not asks or click.confirm("Remove them?", err=True)):
        steps = _remove(found, store, wanted)
    after = free_bytes(store.facts())[0] if steps else free
    if not text:
        emit(render.render_json(found, steps, dry_run=dry_run, free=(free, after)))
    elif steps:
        emit(render.after(steps, None if after is None or free is None else after - free, after))
    if wanted is not None and not dry_run and after is not None and after < wanted:
        click.echo(f"puller: {format_bytes(after)} are free, not {format_bytes(wanted)}", err=True)
    return steps


def _remove(found: PruneCandidates, store: ImageStore, wanted: int | None) -> list[Removal]:
    """Remove, and let the memory follow however far that came."""

    def enough() -> bool:
        return wanted is not None and (free_bytes(store.facts())[0] or 0) >= wanted

    # Names of images that stay give no room.
    going = [each for each in found.plan.going if each.whole or wanted is None]
    steps: list[Removal] = []
    try:
        steps.extend(remove(going, store, enough))
    finally:
        if steps:
            forget(store)
    return steps


def _until(wanted: int | None, free: int | None) -> str:
    if wanted is None or free is None:
        return ""
    return f"until {format_bytes(wanted)} are free; {format_bytes(free)} are now"
