"""Options and arguments that several verbs share, and the types of options."""

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from puller.cli.sections import choice, flag, section
from puller.image.reference import Platform, mirror_place, registry_name
from puller.imagelist import FORMATS
from puller.settings import BackendChoice, FailureLimit, MirrorUse
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


def registry_limit(most: int) -> Parsed:
    """Return the type of an option `REGISTRY=N`, with N from 1 to `most`."""

    def parse(text: str) -> tuple[str, int]:
        name, _, digits = text.rpartition("=")
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= len(str(most)) else 0
        if not name or not 1 <= number <= most:
            raise ValueError(f"{text!r} is not REGISTRY=N such as docker.io=10")
        return registry_name(name.strip()), number

    return Parsed("limit", parse)


def complete_files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Let the shell complete a file."""
    return [CompletionItem(incomplete, type="file")]


def _complete_contexts(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    names = import_module("puller.engine.endpoint").context_names(os.environ)
    return sorted(name for name in ("default", *names) if name.startswith(incomplete))


PLATFORM = Parsed("platform", Platform.parse)
DURATION = Parsed("duration", parse_duration)
SIZE = Parsed("size", parse_bytes)
FAILURE_LIMIT = Parsed("limit", FailureLimit.parse)
MIRROR = Parsed("mirror", _mirror)


list_options = section(
    "Images",
    click.argument("lists", metavar="[LIST]...", nargs=-1, shell_complete=complete_files),
    click.option(
        "--image", "images", envvar="PULLER_IMAGE", metavar="REF", multiple=True,
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
    click.option(
        "--service", "services", envvar="PULLER_SERVICE", metavar="NAME", multiple=True,
        help="Of Compose files only this service, whatever its profiles; may be repeated.",
    ),
    flag("--ignore-buildable", envvar="PULLER_IGNORE_BUILDABLE", help="Leave out images of services with build:."),
    click.option(
        "--build-arg", "build_args", envvar="PULLER_BUILD_ARG", metavar="NAME[=VALUE]", multiple=True,
        help="An argument of Dockerfiles, its value by default from the environment; may be repeated.",
    ),
    flag("--skip-invalid", help="Skip bad lines of the lists, and continue with the others."),
    click.option("-v", "--verbose", count=True, help="Print more; may be repeated."),
)  # fmt: skip
"""The arguments `lists`, and the options `images`, `platform`, `kind`, `skip_invalid`, `verbose` and a `Selection`'s.

See `puller.cli.lists.requested_images`.
"""

engine_options = section(
    "Engine",
    choice(
        "--backend", default=BackendChoice.AUTO,
        help="How to reach the engine: by its API (api), by its API with the Docker SDK (sdk), or by a command (cli).",
    ),
    click.option(
        "--docker-command", default="docker", show_default=True, metavar="NAME",
        help="The command: docker, podman or nerdctl.",
    ),
    click.option("--context", metavar="NAME", shell_complete=_complete_contexts, help="The docker context to use."),
)  # fmt: skip


mirror_options = section(
    "Mirrors",
    click.option(
        "--mirror", "mirrors", type=MIRROR, envvar="PULLER_MIRROR", multiple=True, metavar="REGISTRY=PLACE",
        help="A mirror of a registry, such as docker.io=mirror.example:5000/prefix; may be repeated.",
    ),
    choice(
        "--mirror-use", default=MirrorUse.FIRST, help="Ask mirrors first, or as a fallback when the registry fails."
    ),
)  # fmt: skip
"""The options `mirrors` and `mirror_use`, see `config_option.registries`."""


def typed(names: Iterable[str]) -> list[str]:
    """Return those of these options that the command line has; in a file or a variable they may be for other runs."""
    source = click.get_current_context().get_parameter_source
    return [name for name in names if source(name) is ParameterSource.COMMANDLINE]


def refuse(names: Iterable[str], why: str) -> None:
    """Raise click.UsageError if the command line has one of these options."""
    for name in typed(names):
        flags = {each.name: each.opts[0] for each in click.get_current_context().command.params}
        raise click.UsageError(f"{why}: leave out {flags[name]}")


def duration(*names: str, **more: Any) -> Callable[[_F], _F]:
    """Return an option that takes a duration."""
    return click.option(*names, type=DURATION, show_default=True, metavar="D", **more)


LOCK_OPTIONS = (
    duration(
        "--lock-wait", default="0", help="How long to wait for another run that uses the engine, before exit code 75."
    ),
    flag("--no-lock", help="Run even if another run uses the engine."),
)
"""For verbs that must not run twice on one engine; see `puller.cli.engine.EngineLock`."""
