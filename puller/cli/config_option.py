"""The option --config: options from files become the defaults of a verb (click's `default_map`)."""

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from puller.settings import RegistrySettings
from puller.system import paths as places

if TYPE_CHECKING:  # imported when there is a file
    from puller.cli.configuration import Configuration
    from puller.cli.toml_file import Found

_PRECEDENCE = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.DEFAULT,
)


class ConfigFiles:
    """The configuration of one start of the program: click's context object."""

    found: "Found | None" = None
    """The files, which are read once: one may be a pipe such as <(make-config)."""
    configuration: "Configuration | None" = None
    """For the current verb."""


def configuration() -> "Configuration | None":
    """Return the configuration of the current verb; None if there is no file."""
    return _config_files(click.get_current_context()).configuration


def registries() -> Mapping[str, RegistrySettings]:
    """Return the settings by registry for the current verb."""
    made = configuration()
    return made.settings if made else {}


def outranks(one: str, other: str) -> bool:
    """Tell whether an option comes from a place with higher precedence than another, as a flag over a file."""
    source = click.get_current_context().get_parameter_source
    first, second = source(one), source(other)
    return first in _PRECEDENCE and second in _PRECEDENCE and _PRECEDENCE.index(first) < _PRECEDENCE.index(second)


def typed(option: str) -> bool:
    """Tell whether an option was given for this run, as a flag or as a variable."""
    return click.get_current_context().get_parameter_source(option) in _PRECEDENCE[:2]


def configured(command: click.Command) -> click.Command:
    """Return a verb with the option --config, which sets the defaults of all other options from files."""
    option = click.Option(
        ["-c", "--config", "config_files"],
        type=click.Path(),
        multiple=True,
        metavar="PATH",
        is_eager=True,  # the other options need the defaults
        expose_value=False,
        allow_from_autoenv=False,
        callback=_set_defaults,
        help="Read options from this file instead of /etc/puller/puller.toml and the user's file; may be "
        "repeated, the last one wins.",
    )
    verb = copy(command)
    verb.params = [*command.params, option]
    return verb


def _set_defaults(ctx: click.Context, _option: click.Parameter, paths: tuple[str, ...]) -> None:
    """Read the files and set the defaults; raises UsageError with one line for each error."""
    if ctx.resilient_parsing:  # completion reads no files
        return
    files = _config_files(ctx)
    named = [Path(path) for path in paths or ctx.find_root().params.get("config_files", ())]
    if not named and not files.found and not any(map(_is_there, places.config_files())):
        return
    from puller.cli.configuration import Configuration, find  # noqa: PLC0415 - most hosts have no file

    files.found = files.found or find(named)
    files.configuration = Configuration.of(ctx, files.found)
    ctx.default_map = {name: each.value for name, each in files.configuration.options.items()}


def _is_there(path: Path) -> bool:
    """Tell whether there is a file, or something that keeps it from being read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _config_files(ctx: click.Context) -> ConfigFiles:
    return ctx.find_root().ensure_object(ConfigFiles)
