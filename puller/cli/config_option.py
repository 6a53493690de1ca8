"""The option --config: options from files become the defaults of a verb (click's `default_map`)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from click.core import ParameterSource

from puller.cli.file_options import file_options
from puller.cli.registry_tables import registries_in, settings
from puller.cli.toml_file import Found, Value, find
from puller.errors import UsageError
from puller.settings import MirrorUse, RegistrySettings
from puller.system.paths import config_files

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
    """The files named before the verb."""
    loaded: Configuration | None = None
    """The configuration of the verb, or None where there is no file."""


def configuration() -> Configuration | None:
    """Return the configuration of the current verb; None where there is no file."""
    return _config_files(click.get_current_context()).loaded


def registries() -> Mapping[str, RegistrySettings]:
    """Return the settings by registry for the current verb."""
    found = configuration()
    return found.settings if found else {}


def outranks(one: str, other: str) -> bool:
    """Tell whether an option comes from a place with higher precedence than another, as a flag over a file."""
    source = click.get_current_context().get_parameter_source
    first, second = source(one), source(other)
    return first in _PRECEDENCE and second in _PRECEDENCE and _PRECEDENCE.index(first) < _PRECEDENCE.index(second)


def typed(option: str) -> bool:
    """Tell whether an option was given for this run, as a flag or as a variable."""
    return click.get_current_context().get_parameter_source(option) in _PRECEDENCE[:2]


def configured(command: click.Command) -> click.Command:
    """Add the option --config to a verb; it sets the defaults of all other options from files."""
    if not isinstance(command, click.Group) and not any("--config" in each.opts for each in command.params):
        command.params.append(
            click.Option(
                ["-c", "--config", "config_files"],
                type=click.Path(),
                multiple=True,
                metavar="PATH",
                is_eager=True,  # the other options need the defaults
                expose_value=False,
                allow_from_autoenv=False,
                callback=_load,
                help="Read options from this file instead of /etc/puller/puller.toml and the user's file; may be "
                "repeated, the last one wins.",
            )
        )
    return command


def _choose(ctx: click.Context, _option: click.Parameter, paths: tuple[str, ...]) -> None:
    _config_files(ctx).chosen = paths


choose_config = click.option(
    "-c", "--config", "config_files", type=click.Path(), multiple=True, metavar="PATH",
    envvar="PULLER_CONFIG", expose_value=False, callback=_choose, help="Like --config after the verb.",
)  # fmt: skip
"""The option --config before the verb, and the variable PULLER_CONFIG."""


def _load(ctx: click.Context, _option: click.Parameter, paths: tuple[str, ...]) -> None:
    """Read the files and set the defaults; raises UsageError with one line for each error."""
    if ctx.resilient_parsing:  # completion reads no files
        return
    state = _config_files(ctx)
    paths = paths or state.chosen
    before = state.loaded  # `puller config` loads it for itself, then for pull
    if not before and not paths and not any(map(_may_exist, config_files())):
        return
    state.loaded = loaded = load(ctx, paths, before.found if before else None)
    ctx.default_map = {name: each.value for name, each in loaded.options.items()}


def _config_files(ctx: click.Context) -> ConfigFiles:
    return ctx.find_root().ensure_object(ConfigFiles)


def _may_exist(path: os.PathLike[str]) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 - Path.exists is False for a file that cannot be accessed
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def load(ctx: click.Context, paths: Sequence[str] = (), found: Found | None = None) -> Configuration:
    """Read the files for the verb of `ctx`; raises UsageError with one line for each error in them.

    `found` are files that were read before: a pipe such as <(make-config) can be read only once.
    """
    found = found or find([Path(path) for path in paths])
    options, wrong_options = file_options(ctx, found.files)
    registries, wrong_registries = registries_in(found.files)
    if use := options.get("mirror_use"):  # the default of all tables of registries
        for table in registries.values():
            table.setdefault("mirror_use", replace(use, value=MirrorUse(use.value)))
    if problems := (*found.problems, *wrong_options, *wrong_registries):
        raise UsageError("\n".join(problems))
    return Configuration(found, options, registries, settings(registries))
