"""What several verbs take from the command line, said once: the types of options, and the options of lists."""

from collections.abc import Callable, Sequence
from glob import escape, glob
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from puller.cli.sections import section
from puller.cli.to import Target
from puller.errors import ListError
from puller.image.reference import Platform, mirror_place, registry_name
from puller.imagelist import FORMATS, read
from puller.imagelist.compose_cli import Compose
from puller.imagelist.requests import RequestedImages, request_images
from puller.report import RENDERERS
from puller.settings import BackendChoice, FailureLimit
from puller.text import parse_bytes, parse_duration, parse_rate


class _Parsed(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since click 8.2
    """A type whose values a function of text makes, raising ValueError with a reason."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse text; a value that is made already passes as it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _report(text: str) -> tuple[str, Path]:
    kind, separator, path = text.partition("=")
    if not separator or not path or kind not in RENDERERS:
        raise ValueError(f"{text!r} is not KIND=PATH with a KIND of {', '.join(RENDERERS)}")
    return kind, Path(path)


def _mirror(text: str) -> tuple[str, str]:
    registry, separator, place = text.partition("=")
    if not separator:
        raise ValueError(f"{text!r} is not REGISTRY=PLACE such as docker.io=mirror.example:5000/prefix")
    return registry_name(registry.strip()), mirror_place(place)


class _ReportType(_Parsed):
    """KIND=PATH: a shell completes the kind, and then a file."""

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
        kind, equals, path = incomplete.partition("=")
        if equals:  # the shells would take `json=out` as a whole for the beginning of a file's name
            paths = glob(f"{escape(path)}*")  # noqa: PTH207 - Path.glob takes a pattern below a folder only
            return [CompletionItem(f"{kind}={each}") for each in sorted(paths)]
        return [CompletionItem(f"{kind}=") for kind in RENDERERS if kind.startswith(incomplete)]


def complete_files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Let the shell complete a file."""
    return [CompletionItem(incomplete, type="file")]


PLATFORM = _Parsed("platform", Platform.parse)
DURATION = _Parsed("duration", parse_duration)
SIZE = _Parsed("size", parse_bytes)
RATE = _Parsed("rate", parse_rate)
TARGET = _Parsed("target", Target.parse)
FAILURE_LIMIT = _Parsed("limit", FailureLimit.parse)
MIRROR = _Parsed("mirror", _mirror)
REPORT = _ReportType("report", _report)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep an option for `make_plan`, so that a verb need not hand through what it does not look at."""
    ctx.meta[f"{__name__}.{param.name}"] = value


def _remembered(name: str) -> Any:
    return click.get_current_context().meta.get(f"{__name__}.{name}")


list_options = section(
    "Images",
    click.argument("lists", metavar="[LIST]...", nargs=-1, shell_complete=complete_files),
    click.option("--image", "images", metavar="REF", multiple=True, help="One more image; may be repeated."),
    click.option(
        "--platform",
        type=PLATFORM,
        envvar=["PULLER_PLATFORM", "DOCKER_DEFAULT_PLATFORM"],
        metavar="OS/ARCH[/VARIANT]",
        help="For every image whose line names no platform, instead of the engine's own.",
    ),
    click.option(
        "--from",
        "kind",
        type=click.Choice(FORMATS),
        envvar="PULLER_FROM",
        expose_value=False,
        callback=_remember,
        help="The format of every LIST, where its content and name do not tell.",
    ),
    click.option(
        "--profile",
        "profiles",
        envvar="PULLER_PROFILE",
        metavar="NAME",
        multiple=True,
        expose_value=False,
        callback=_remember,
        help="Take the services of this Compose profile, too; may be repeated.",
    ),
    click.option("--skip-invalid", is_flag=True, help="Go on without the bad lines of a list."),
)
"""Give a verb the arguments `lists`, `images`, `platform` and `skip_invalid`, which `make_plan` takes.

    `--from` and `--profile` reach `make_plan` by themselves."""


engine_options = section(
    "Engine",
    click.option(
        "--backend",
        type=click.Choice([choice.value for choice in BackendChoice]),
        default=BackendChoice.AUTO.value,
        show_default=True,
        help="How to talk to the engine: its API (sdk) or a command (cli).",
    ),
    click.option(
        "--docker-command", default="docker", show_default=True, metavar="NAME", help="docker, podman or nerdctl."
    ),
    click.option("--context", metavar="NAME", help="The docker context to use."),
)
"""Give a verb `backend`, `docker_command` and `context`: how to reach the engine."""


LOCK_OPTIONS = (
    click.option(
        "--lock-wait",
        type=DURATION,
        default="0",
        show_default=True,
        metavar="D",
        help="How long to wait for another run at this engine, before leaving with exit code 75.",
    ),
    click.option("--no-lock", is_flag=True, help="Run beside other runs at this engine."),
)
"""For verbs that want an engine for themselves: `puller.cli.run_lock.Turn` does what they say."""


def make_plan(
    lists: Sequence[str],
    images: Sequence[str],
    platform: Platform | None,
    *,
    skip_invalid: bool,
    keep_sources: bool = False,
) -> RequestedImages:
    """Read what `list_options` collected; with `skip_invalid` the bad lines are in the plan. Notes go to stderr.

    Raises click.UsageError when nothing was named, ListError for a list that cannot be read, and
    ListError with all bad lines at once when they are not to be skipped.
    """
    if not lists and not images:
        raise click.UsageError("name a LIST (- is stdin) or an --image")
    profiles = _remembered("profiles") or ()
    items = read(lists, images, list_format=_remembered("kind"), profiles=profiles, ask_compose=Compose())
    made = request_images(items, platform=platform, keep_sources=keep_sources)
    if made.bad and not skip_invalid:
        raise ListError([str(line) for line in made.bad])
    if not click.get_current_context().params.get("quiet"):
        for note in made.notes:
            click.echo(str(note), err=True)
    return made
