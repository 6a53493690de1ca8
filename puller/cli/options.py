"""What several verbs take from the command line, said once: the types of options, and the options of lists."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from puller.config import BackendChoice, FailureLimit
from puller.errors import ListError
from puller.imagelist import read
from puller.plan import Plan, plan
from puller.reference import Platform
from puller.reports import RENDERERS
from puller.text import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_F = TypeVar("_F", bound="Callable[..., Any]")


class _Parsed(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since click 8.2
    """A type whose values a function of text makes, raising ValueError with a reason."""

    def __init__(self, name: str, parse: "Callable[[str], Any]") -> None:
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


PLATFORM = _Parsed("platform", Platform.parse)
DURATION = _Parsed("duration", parse_duration)
FAILURE_LIMIT = _Parsed("limit", FailureLimit.parse)
REPORT = _Parsed("report", _report)


def list_options(verb: _F) -> _F:
    """Give a verb the arguments `lists`, `images`, `platform` and `skip_invalid`, which `make_plan` takes."""
    decorators = (
        click.argument("lists", metavar="[LIST]...", nargs=-1),
        click.option("--image", "images", metavar="REF", multiple=True, help="One more image; may be repeated."),
        click.option(
            "--platform",
            type=PLATFORM,
            envvar=["PULLER_PLATFORM", "DOCKER_DEFAULT_PLATFORM"],
            metavar="OS/ARCH[/VARIANT]",
            help="For every image whose line names no platform, instead of the engine's own.",
        ),
        click.option("--skip-invalid", is_flag=True, help="Go on without the bad lines of a list."),
    )
    for decorate in reversed(decorators):
        verb = decorate(verb)
    return verb


def engine_options(verb: _F) -> _F:
    """Give a verb the arguments `backend`, `docker_command` and `context`, which say how to reach the engine."""
    decorators = (
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
    for decorate in reversed(decorators):
        verb = decorate(verb)
    return verb


def make_plan(
    lists: "Sequence[str]", images: "Sequence[str]", platform: Platform | None, *, skip_invalid: bool
) -> Plan:
    """Read what `list_options` collected; with `skip_invalid` the bad lines are in the plan.

    Raises click.UsageError when nothing was named, ListError for a list that cannot be read, and
    ListError with all bad lines at once when they are not to be skipped.
    """
    if not lists and not images:
        raise click.UsageError("name a LIST (- is stdin) or an --image")
    made = plan(read(lists, images), platform=platform)
    if made.bad and not skip_invalid:
        raise ListError([str(line) for line in made.bad])
    return made
