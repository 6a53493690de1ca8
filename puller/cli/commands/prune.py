"""`puller prune`: removes images that puller pulled and no list uses any more."""

import sys
from contextlib import closing
from typing import Any

import click

from puller.blobs.loopback_names import remove_leftovers
from puller.cli.engine import EngineLock, fatal_engine_errors, open_engine
from puller.cli.options import LOCK_OPTIONS, SIZE, engine_options, list_options, make_plan
from puller.cli.output import emit
from puller.cli.sections import SectionedCommand, flag, number, section, text_or_json
from puller.engine.disk import free_bytes
from puller.engine.interface import ImageStore
from puller.errors import ExitCode, UsageError
from puller.imagelist.requests import RequestedImages
from puller.prune import render
from puller.prune.remove import Removal, find_candidates, remove
from puller.text import format_bytes


@click.command(
    "prune", cls=SectionedCommand, context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Exit codes: 0 all these images were removed; 1 an image could not be removed; 2 usage or a bad list; "
    "69 no engine; 75 another run uses the engine.",
)  # fmt: skip
@list_options
@engine_options
@section(
    "Selection",
    click.option("--until-free", type=SIZE, metavar="SIZE", help="Stop when this much is free, such as 20GB."),
    number(
        "--keep-last", least=0, default=0, show_default=False,
        help="Keep the N newest images that puller pulled of each repository.",
    ),
    flag("-y", "--yes", help="Do not ask for confirmation."),
    flag("--dry-run", help="Only show what would be removed."),
    text_or_json,
)  # fmt: skip
@section("Locking", *LOCK_OPTIONS)
def command(**options: Any) -> int:
    """Remove images that puller pulled, that no LIST contains and no container uses.

    The images that were least recently in a list are removed first; images that were pulled, built or tagged without
    puller are kept. Pass every list this host uses; anything in none of them may be removed. Platforms are ignored.

    \b
    puller prune images.txt --dry-run
    puller prune *.txt compose.yaml --until-free 20GB --keep-last 2 --yes
    """  # noqa: D301 - click wants the control character itself
    asks = not (options["yes"] or options["dry_run"])
    named = options["lists"] or options["images"]
    if named and asks and not (sys.stdin and sys.stdin.isatty()):
        raise click.UsageError("not a terminal: confirm with --yes, or preview with --dry-run")
    todo = make_plan(options, only_files=True)
    with (
        EngineLock(options, "prune", *options["lists"]) as lock,
        closing(open_engine(options, lock=lock)) as engine,
        fatal_engine_errors(),
    ):
        removals = _prune(todo, engine.store, options, asks=asks)
    return ExitCode.FAILED if any(removal.error for removal in removals) else ExitCode.OK


def _prune(todo: RequestedImages, store: ImageStore, options: dict[str, Any], *, asks: bool) -> list[Removal]:
    wanted: int | None = options["until_free"]
    text, dry_run = options["form"] == "text", options["dry_run"]
    free, note = free_bytes(store.facts())
    until = ""
    if wanted is not None:
        if free is None:
            raise UsageError(f"--until-free: the free space is unknown: {note}")
        until = f"until {format_bytes(wanted)} are free; {format_bytes(free)} are now"
    if not dry_run:
        remove_leftovers(store)
    found = find_candidates(store, [request.reference for request in todo.requests], keep_last=options["keep_last"])
    if text or asks:
        shown = render.before(found, until=until)
        emit(shown) if text else click.echo(shown, nl=False, err=True)
    removals: list[Removal] = []
    if found.removable and not dry_run and (not asks or click.confirm("Remove them?", err=True)):
        # Removing one of several names of an image frees no space.
        removals = [*remove([each for each in found.removable if each.whole or wanted is None], store, wanted)]
    after = free_bytes(store.facts())[0] if removals else free
    if not text:
        emit(render.render_json(found, removals, dry_run=dry_run, free=(free, after)))
    elif removals:
        emit(render.after(removals, None if after is None or free is None else after - free, after))
    if wanted is not None and not dry_run and after is not None and after < wanted:
        click.echo(f"puller: only {format_bytes(after)} of the requested {format_bytes(wanted)} are free", err=True)
    return removals
