"""`puller lock`: lists written again, every tag pinned to its digest."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from puller import __version__
from puller.cli.lists import requested_images
from puller.cli.options import complete_files, list_options, mirror_options
from puller.cli.output import emit, emit_json
from puller.cli.registries import registry_client, tell
from puller.cli.sections import flag
from puller.errors import ExitCode, OutputError, UsageError
from puller.failure import Failure, error_document
from puller.imagelist.requests import RequestedImages
from puller.lockfile import lockfile
from puller.lockfile.lockfile import ALL, Difference, Digests, Kind
from puller.model import PullRequest, exit_code_of
from puller.registry.batch import digests
from puller.report.words import advices
from puller.system import files
from puller.text import clean, counted, source_name


@click.command(
    "lock", context_settings={"auto_envvar_prefix": "PULLER"},
    epilog="Exit codes: 0 locked, or the lock is up to date; 1 an image could not be resolved, or the lock is not up "
    "to date; 2 usage or a bad list; 75 failed, but a later run may succeed.",
)  # fmt: skip
@list_options
@mirror_options
@click.option(
    "-o", "--output", metavar="PATH", shell_complete=complete_files,
    help="The lock file, instead of stdout; images that it has keep their digests.",
)  # fmt: skip
@click.option(
    "--upgrade", "upgrades", is_flag=False, flag_value=ALL, multiple=True, metavar="[REF]",
    help="Resolve locked images again: all, or only this one; may be repeated.",
)  # fmt: skip
@flag("--check", help="Write nothing; report how the lock differs from the lists and registries.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Format of the result of --check."
)
def command(**options: Any) -> int:
    """Write the LISTs as one list in which every tag is pinned to its digest in the registry. Needs no engine.

    With --check and without -o, each LIST is itself checked as a lock.

    \b
    puller lock images.txt -o images.lock
    puller lock images.txt -o images.lock --upgrade nginx:1.27
    puller lock images.txt -o images.lock --check
    """  # noqa: D301 - click wants the control character itself
    if options["check"] and options["upgrades"]:
        raise click.UsageError("--check writes nothing: leave out --upgrade")
    if options["form"] == "json" and not options["check"]:
        raise click.UsageError("--format json is for --check: a lock is an image list")
    if options["upgrades"] and not options["lists"] and not options["images"]:
        raise click.UsageError("no list given; --upgrade takes the next word as an image, so write it at the end")
    todo = requested_images(options)
    output = Path(options["output"]) if options["output"] not in (None, "-") else None
    if options["check"]:
        return _check(todo, output, options["form"])
    return _lock(todo, output, options)


def _origin(options: Mapping[str, Any], lists: Sequence[str], *, has_tags: bool) -> tuple[str, ...]:
    """Return the comments of a lock, with the command that renews it; the values of build arguments may be secret."""
    given = {name: options[f"{name}s"] for name in ("image", "profile", "service")}
    given |= {"platform": [options["platform"] or ""], "from": [options["kind"] or ""]}
    given |= {"build-arg": [text.partition("=")[0] for text in options["build_args"]]}
    words = [f"--{name}={value}" for name, values in given.items() for value in values if value]
    words += [f"--{key.replace('_', '-')}" for key in ("ignore_buildable", "skip_invalid") if options[key]]
    words += ["-o", options["output"]] if options["output"] not in (None, "-") else []
    words += ["--upgrade"] if "-o" in words and has_tags else []
    sources = (*lists, *(["--image"] if options["images"] else []))
    return lockfile.origin(sources, shlex.join(["puller", "lock", *map(source_name, (*lists, *words))]))


def _lock(todo: RequestedImages, output: Path | None, options: Mapping[str, Any]) -> int:
    lists = options["lists"] or (() if options["images"] else ("-",))
    wanted = lockfile.pins(todo.requests)
    before: Digests = {}
    comments: Sequence[str] = ()
    if output:
        is_own_list = any(_is_same(source, output) for source in lists)
        if is_own_list and not lockfile.origin_of(output):
            raise UsageError(f"-o {clean(str(output))} is one of the lists, and would be overwritten")
        files.check(output)
        before = lockfile.read_lock(output)
        if is_own_list:  # its digests are those to renew, and do not pin
            wanted = {
                request: None if request.reference.tag and request in before else pin for request, pin in wanted.items()
            }
            comments = lockfile.origin_of(output) if len(lists) == 1 and not options["images"] else ()
    comments = comments or _origin(options, lists, has_tags=None in wanted.values())
    to_renew = lockfile.chosen(options["upgrades"], wanted)
    if to_renew and all(wanted[request] for request in to_renew):
        lock = clean(shlex.quote(source_name([*lists, "LOCK"][0])))
        raise UsageError(
            "--upgrade has no effect: the lists pin these images by their digests; "
            f"a lock file is renewed by `puller lock {lock} -o {lock} --upgrade`"
        )
    locked, failures = lockfile.renewed(wanted, before, partial(_ask, platforms=True), to_renew)
    if failures:
        for request, why in failures.items():
            click.echo(f"puller: {clean(str(request))}: {lockfile.reason(request, why)}", err=True)
        tell(advices(failures.values()))
        click.echo(
            f"puller: {len(failures)} of {counted(len(wanted), 'image')} could not be resolved; nothing was written",
            err=True,
        )
        return exit_code_of(failures.values())
    text = lockfile.render(locked, comments, datetime.now(UTC), __version__)
    if output is None:
        emit(text)
        return ExitCode.OK
    if not before or _rows(output) != lockfile.lines(locked):  # else only the time in it would change
        try:
            files.write(output, text)
        except UsageError as error:  # the path was checked before
            raise OutputError(str(error)) from None
    _report_changes(output, before, locked)
    return ExitCode.OK


def _check(todo: RequestedImages, output: Path | None, form: str) -> int:
    wanted: Mapping[PullRequest, str | None] = lockfile.pins(todo.requests)
    if output:
        lock: Digests = lockfile.read_lock(output)
    else:
        lock = {request: digest for request, digest in wanted.items() if digest}
        wanted = {request: None if request.reference.tag else digest for request, digest in wanted.items()}
    found = lockfile.compared(wanted, lock, _ask)
    if form == "json":
        changes, invalid = [_document(difference) for difference in found], [str(line) for line in todo.bad]
        emit_json("lock-check", ok=not found, images=len(wanted), differences=changes, invalid=invalid)
    else:
        emit("".join(f"{difference}\n" for difference in found))
        of = f"{clean(str(output))}: " if output else ""
        words = f"{counted(len(found), 'difference')} from the lists and registries" if found else "up to date"
        click.echo(f"puller: {of}{counted(len(lock), 'image')} locked, {words}", err=True)
    failures = [difference.failure for difference in found if difference.failure]
    tell(advices(failures))
    return exit_code_of(failures) if len(failures) == len(found) else ExitCode.FAILED


def _document(difference: Difference) -> dict[str, Any]:
    request, why = difference.request, difference.failure
    return {
        "kind": difference.kind.value,
        "reference": request.reference.canonical,
        "platform": str(request.platform) if request.platform else None,
        "before": difference.wanted,
        "after": difference.found,
        "error": error_document(why) if why else None,
        "message": str(difference),
    }


def _ask(requests: Iterable[PullRequest], *, platforms: bool = False) -> Mapping[PullRequest, str | Failure]:
    with registry_client() as client:
        return digests(requests, client, platforms=platforms)


def _is_same(source: str, output: Path) -> bool:
    return output.exists() and os.path.exists(source) and os.path.samefile(source, output)  # noqa: PTH110, PTH121


def _rows(path: Path) -> tuple[str, ...]:
    """Return the lines of a lock file without comments."""
    return tuple(row for row in path.read_text(errors="replace").splitlines() if not row.startswith("#"))


def _report_changes(output: Path, before: Digests, digests: Digests) -> None:
    """Report on stderr what changed in the lock."""
    words = {Kind.MISSING: "added", Kind.EXTRA: "dropped"}
    changed = [*lockfile.differences(dict.fromkeys(digests), before, digests)] if before else []
    for difference in changed:
        name = str(difference).partition(": ")[2]
        click.echo(f"{words.get(difference.kind, difference.kind.value)}: {name}", err=True)
    state = f"{len(changed)} changed" if before else "new"
    click.echo(f"{clean(str(output))}: {counted(len(digests), 'image')} locked, {state}", err=True)
