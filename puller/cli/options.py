"""Options and arguments that several verbs share, and the types of options."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from puller.cli.sections import choice, flag, section
from puller.errors import ListError
from puller.image.reference import Platform, mirror_place, registry_name
from puller.imagelist import FORMATS, read
from puller.imagelist.compose_cli import Compose
from puller.imagelist.entry import Item
from puller.imagelist.requests import RequestedImages, request_images
from puller.settings import BackendChoice, FailureLimit
from puller.text import parse_bytes, parse_duration

_F = TypeVar("_F", bound="Callable[..., Any]")


class Parsed(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since click 8.2
    """An option type by a function that parses text, and raises ValueError with a reason."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):  # click converts default values again
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _mirror(text: str) -> tuple[str, str]:
    registry, separator, place = text.partition("=")
    if not separator:
        raise ValueError(f"{text!r} is not REGISTRY=PLACE such as docker.io=mirror.example:5000/prefix")
    return registry_name(registry.strip()), mirror_place(place)


def complete_files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Let the shell complete a file."""
    return [CompletionItem(incomplete, type="file")]


PLATFORM = Parsed("platform", Platform.parse)
DURATION = Parsed("duration", parse_duration)
SIZE = Parsed("size", parse_bytes)
FAILURE_LIMIT = Parsed("limit", FailureLimit.parse)
MIRROR = Parsed("mirror", _mirror)


list_options = section(
    "Images",
    click.argument("lists", metavar="[LIST]...", nargs=-1, shell_complete=complete_files),
    click.option(
        "--image", "images", metavar="REF", multiple=True,
        help="An image, in addition to those of the lists; may be repeated.",
    ),
    click.option(
        "--platform", type=PLATFORM, envvar=["PULLER_PLATFORM", "DOCKER_DEFAULT_PLATFORM"], metavar="OS/ARCH[/VARIANT]",
        help="Platform of all images without one in the list (default: that of the engine).",
    ),
    click.option(
        "--from", "kind", type=click.Choice(FORMATS), envvar="PULLER_FROM",
        help="Format of the lists (default: detected).",
    ),
    click.option(
        "--profile", "profiles", envvar="PULLER_PROFILE", metavar="NAME", multiple=True,
        help="Include the services of this Compose profile; may be repeated.",
    ),
    flag("--skip-invalid", help="Skip bad lines of the lists, and continue with the others."),
)  # fmt: skip
"""The options and arguments `lists`, `images`, `platform`, `kind`, `profiles` and `skip_invalid`; see `make_plan`."""

engine_options = section(
    "Engine",
    choice(
        "--backend", default=BackendChoice.AUTO, help="How to reach the engine: by its API (sdk) or by a command (cli)."
    ),
    click.option(
        "--docker-command", default="docker", show_default=True, metavar="NAME",
        help="The command: docker, podman or nerdctl.",
    ),
    click.option("--context", metavar="NAME", help="The docker context to use."),
)  # fmt: skip


def duration(*names: str, **more: Any) -> Callable[[_F], _F]:
    """Return an option that takes a duration."""
    return click.option(*names, type=DURATION, show_default=True, metavar="D", **more)


LOCK_OPTIONS = (
    duration(
        "--lock-wait", default="0", help="How long to wait for another run that uses the engine, before exit code 75."
    ),
    flag("--no-lock", help="Run even if another run uses the engine."),
)
"""For verbs that must not run twice on one engine; see `puller.cli.run_lock.EngineLock`."""


def make_plan(
    options: Mapping[str, Any],
    items: Iterable[Item] | None = None,
    *,
    keep_sources: bool = False,
    report_bad: bool = True,
) -> RequestedImages:
    """Read the lists of a verb with `list_options`, or take the items of another list.

    Notes go to stderr, and bad lines too with `report_bad`.

    With `--skip-invalid` the result includes the bad lines. Raises click.UsageError when there is neither a list nor an
    image, and ListError for a list that cannot be read or, with all bad lines, when these are not to be skipped.
    """
    if items is None:
        lists, images, profiles = options["lists"], options["images"], options["profiles"]
        if not lists and not images:
            raise click.UsageError("no images given: pass a list file, - for stdin, or --image REF")
        items = read(lists, images, list_format=options["kind"], profiles=profiles, ask_compose=Compose())
    requested = request_images(items, platform=options["platform"], keep_sources=keep_sources)
    if requested.bad and not options["skip_invalid"]:
        raise ListError([str(line) for line in requested.bad])
    if not options.get("quiet"):
        for note in requested.notes:
            click.echo(str(note), err=True)
    for line in requested.bad if report_bad else ():
        click.echo(str(line), err=True)
    return requested
