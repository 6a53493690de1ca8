"""`puller prune`: removes images that puller pulled and no list uses any more."""

import json
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib import import_module
from typing import Any

import click

from puller.blobs.loopback_names import remove_leftovers
from puller.cli.engine import EngineLock, fatal_engine_errors, open_engine
from puller.cli.fleet_options import HostWork, hosts_options, locking, named_hosts
from puller.cli.lists import requested_images
from puller.cli.options import LOCK_OPTIONS, SIZE, engine_options, list_options
from puller.cli.output import emit
from puller.cli.sections import SectionedCommand, flag, number, section, text_or_json
from puller.engine.disk import free_bytes
from puller.engine.interface import Engine, ImageStore
from puller.errors import ExitCode, UsageError
from puller.imagelist.requests import RequestedImages
from puller.prune import render
from puller.prune.planner import PrunePlan
from puller.prune.remove import Action, Removal, find_candidates, remove, until_free
from puller.text import clean, format_bytes


@click.command(
    "prune", cls=SectionedCommand,
    epilog="Exit codes: 0 all these images were removed; 1 an image could not be removed; 2 usage or a bad list; "
    "69 no engine; 75 another run uses the engine. With hosts: the worst of them; 3 if all that is missing is on hosts "
    "that could not be reached.",
)  # fmt: skip
@list_options
@engine_options
@hosts_options
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
    puller prune *.txt --hosts hosts.txt --dry-run
    """  # noqa: D301 - click wants the control character itself
    hosts = named_hosts(options)
    asks = not (options["yes"] or options["dry_run"])
    named = options["lists"] or options["images"]
    if named and asks and not (sys.stdin and sys.stdin.isatty()):
        raise click.UsageError("not a terminal: confirm with --yes, or preview with --dry-run")
    if hosts and asks:
        raise click.UsageError("many hosts are not asked about: confirm with --yes, or preview with --dry-run")
    todo = requested_images(options, only_files=True)
    if hosts:
        head = ("STAY", "CAN GO" if options["dry_run"] else "REMOVED", "FREES")
        locked = partial(locking, options=options, names=("prune", *options["lists"]))
        on_host = partial(_on_host, todo, options, import_module("puller.fleet.disk").free_space)
        code: int = import_module("puller.cli.over_hosts").over_hosts(hosts, options, head, on_host, wrap=locked)
        return code
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
    found = _find(todo, store, options)
    if text or asks:
        shown = render.before(found, until=until)
        emit(shown) if text else click.echo(shown, nl=False, err=True)
    removals: list[Removal] = []
    if found.removable and not dry_run and (not asks or click.confirm("Remove them?", err=True)):
        removals = _remove(found, store, wanted, lambda: free_bytes(store.facts())[0])
    after = free_bytes(store.facts())[0] if removals else free
    if not text:
        emit(render.render_json(found, removals, dry_run=dry_run, free=(free, after)))
    elif removals:
        emit(render.after(removals, None if after is None or free is None else after - free, after))
    if wanted is not None and not dry_run and after is not None and after < wanted:
        click.echo(f"puller: only {format_bytes(after)} of the requested {format_bytes(wanted)} are free", err=True)
    return removals


def _find(todo: RequestedImages, store: ImageStore, options: dict[str, Any]) -> PrunePlan:
    if not options["dry_run"]:
        remove_leftovers(store)
    return find_candidates(store, [request.reference for request in todo.requests], keep_last=options["keep_last"])


def _remove(found: PrunePlan, store: ImageStore, wanted: int | None, free: Callable[[], int | None]) -> list[Removal]:
    """Remove what can go, until `wanted` bytes are free, or until the free space is unknown.

    Removing one of several names of an image frees no space.
    """
    if wanted is None:
        return [*remove(found.removable, store)]
    return [*remove([each for each in found.removable if each.whole], store, until_free(wanted, free))]


def _on_host(
    todo: RequestedImages,
    options: dict[str, Any],
    free_space: Callable[[Engine], tuple[int | None, str]],
    engine: Engine,
) -> HostWork:
    """Remove what can go, without a question; the details are what would go, or what could not be removed."""
    found, dry_run, wanted = _find(todo, engine.store, options), options["dry_run"], options["until_free"]
    free, why = free_space(engine) if wanted is not None else (None, "")
    removals = [] if dry_run or why else _remove(found, engine.store, wanted, lambda: free_space(engine)[0])
    after, lost = free_space(engine) if removals and wanted is not None else (free, "")
    problems = [str(each) for each in removals if each.error]
    problems += [f"--until-free: nothing is removed, as the free space is unknown: {why}"] if why else []
    problems += [f"--until-free: no more is removed, as the free space is unknown: {lost}"] if lost else []
    gone = (
        [each for each in found.removable if each.whole]
        if dry_run
        else [each.candidate for each in removals if each.action is Action.REMOVED]
    )
    cells = str(len(found.kept)), str(len(gone)), format_bytes(sum(each.frees for each in gone))
    notes = [f"can go: {clean(', '.join(each.targets))}" for each in found.removable] if dry_run and not why else []
    if wanted is not None and after is not None and (dry_run or after < wanted):
        notes.append(f"{format_bytes(after)} are free, {format_bytes(wanted)} are wanted")
    document = json.loads(render.render_json(found, removals, dry_run=dry_run, free=(free, after)))
    return HostWork(ExitCode.FAILED if problems else ExitCode.OK, cells, (*problems, *notes), document)
