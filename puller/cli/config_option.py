"""The option --config: options from files become the defaults of a verb (click's `default_map`)."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import click
from click.core import ParameterSource

from puller.cli.file_options import file_options
from puller.cli.registry_tables import registries_in, settings
from puller.cli.toml_file import Found, Value, find
from puller.errors import UsageError
from puller.settings import MirrorUse, RegistrySettings

_PRECEDENCE = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.DEFAULT,
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The content of the files, checked."""

    found: Found
    options: Mapping[str, Value]
    """The options of one verb, by the names of click's parameters."""
    registries: Mapping[str, Mapping[str, Value]]
    """The settings of each registry, by the names of the fields of RegistrySettings."""
    settings: Mapping[str, RegistrySettings]


@dataclass(slots=True)
class ConfigFiles:
    """The configuration of one start of the program: click's context object."""

    chosen: tuple[str, ...] = ()
    """The paths given before the verb."""
    found: Found | None = None
    """The files, which are read once: one may be a pipe such as <(make-config)."""
    configuration: Configuration = Configuration(Found((), (), ()), {}, {}, {})
    """For the current verb."""


def configuration() -> Configuration:
    """Return the configuration of the current verb."""
    return _config_files(click.get_current_context()).configuration


def registries() -> Mapping[str, RegistrySettings]:
    """Return the settings by registry for the current verb."""
    return configuration().settings


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


def _choose(ctx: click.Context, _option: click.Parameter, paths: tuple[str, ...]) -> None:
    _config_files(ctx).chosen = paths


choose_config = click.option(
    "-c", "--config", "config_files", type=click.Path(), multiple=True, metavar="PATH",
    envvar="PULLER_CONFIG", expose_value=False, callback=_choose, help="Like --config after the verb.",
)  # fmt: skip
"""The option --config before the verb, and the variable PULLER_CONFIG."""


def _set_defaults(ctx: click.Context, _option: click.Parameter, paths: tuple[str, ...]) -> None:
    """Read the files and set the defaults; raises UsageError with one line for each error."""
    if ctx.resilient_parsing:  # completion reads no files
        return
    files = _config_files(ctx)
    files.found = files.found or find([Path(path) for path in paths or files.chosen])
    files.configuration = _checked(ctx, files.found)
    ctx.default_map = {name: each.value for name, each in files.configuration.options.items()}


def _config_files(ctx: click.Context) -> ConfigFiles:
    return ctx.find_root().ensure_object(ConfigFiles)


def _checked(ctx: click.Context, found: Found) -> Configuration:
    options, wrong_options = file_options(ctx, found.files)
    registries, wrong_registries = registries_in(found.files)
    if use := options.get("mirror_use"):  # the default of all tables of registries
        for table in registries.values():
            table.setdefault("mirror_use", replace(use, value=MirrorUse(use.value)))
    if problems := (*found.problems, *wrong_options, *wrong_registries):
        raise UsageError("\n".join(problems))
    return Configuration(found, options, registries, settings(registries))
