"""Options from files, by click's own means: what the files say becomes the defaults of a verb."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from puller.cli.file_options import file_options
from puller.configfile import Found, Value, find
from puller.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from puller.config import RegistrySettings

_STRENGTH = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.DEFAULT,
)
_CHOSEN, _CONFIGURATION = f"{__name__}.chosen", f"{__name__}.configuration"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What files say, to the verb that runs."""

    found: Found
    options: "Mapping[str, Value]"
    """By the names of click's parameters."""
    registries: "Mapping[str, Mapping[str, Value]]" = field(default_factory=dict)
    """What is said of each registry, by the names of the fields of RegistrySettings."""
    settings: "Mapping[str, RegistrySettings]" = field(default_factory=dict)


def configuration() -> Configuration:
    """Give what files say to the verb that runs now."""
    found: Configuration = click.get_current_context().meta.get(_CONFIGURATION, Configuration(Found((), (), ()), {}))
    return found


def registries() -> "Mapping[str, RegistrySettings]":
    """Give the settings of single registries to the verb that runs now."""
    return configuration().settings


def outranks(one: str, other: str) -> bool:
    """Tell whether an option was said in a stronger place than another: --max-fail typed, fail-fast in a file."""
    source = click.get_current_context().get_parameter_source
    first, second = source(one), source(other)
    return first in _STRENGTH and second in _STRENGTH and _STRENGTH.index(first) < _STRENGTH.index(second)


def configured(command: click.Command) -> click.Command:
    """Give a verb the option --config, which takes the defaults of all its other options from files."""
    if not isinstance(command, click.Group) and not any("--config" in each.opts for each in command.params):
        command.params.append(
            click.Option(
                ["-c", "--config", "config_files"],
                type=click.Path(path_type=Path),
                multiple=True,
                metavar="PATH",
                is_eager=True,  # the defaults must be known before the other options are looked at
                expose_value=False,
                allow_from_autoenv=False,
                callback=_load,
                help="Read options from this file instead of /etc/puller/puller.toml and the user's own; may be "
                "repeated, the last wins.",
            )
        )
    return command


def _choose(ctx: click.Context, _option: click.Parameter, paths: tuple[Path, ...]) -> None:
    ctx.meta[_CHOSEN] = paths


choose_config = click.option(
    "-c", "--config", "config_files", type=click.Path(path_type=Path), multiple=True, metavar="PATH",
    envvar="PULLER_CONFIG", expose_value=False, callback=_choose, help="The same as after the verb.",
)  # fmt: skip
"""Let the program itself have --config, and the variable PULLER_CONFIG, for whatever verb comes."""


def _load(ctx: click.Context, _option: click.Parameter, paths: tuple[Path, ...]) -> None:
    """Read the files and let them be the defaults; raises UsageError with a line for everything that is wrong."""
    if ctx.resilient_parsing:  # completion: whoever presses Tab does not want to read about files
        return
    ctx.meta[_CHOSEN] = paths = paths or ctx.meta.get(_CHOSEN, ())
    found = find(paths)
    options, problems = file_options(ctx, found.files)
    problems = [*found.problems, *problems]
    made = Configuration(found, options)
    if any("registry" in file.data for file in found.files):
        from puller.configfile import registries as tables  # noqa: PLC0415 - few files have them

        said, wrong = tables.registries_in(found.files)
        problems += wrong
        made = Configuration(found, options, said, tables.settings(said))
    if problems:
        raise UsageError("\n".join(problems))
    ctx.meta[_CONFIGURATION] = made
    ctx.default_map = {name: each.value for name, each in options.items()}
