"""The option --config: options from files become the defaults of a verb (click's `default_map`)."""

import os
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from puller.settings import MirrorUse, RegistrySettings
from puller.system.paths import config_files

if TYPE_CHECKING:  # imported when there is a file
    from puller.cli.configuration import Configuration

_PREFIX = "PULLER_"
_TYPED = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def configuration() -> "Configuration | None":
    """Return the configuration of the current verb; None if there is no file."""
    made: Configuration | None = click.get_current_context().find_root().obj
    return made


def registries() -> dict[str, RegistrySettings]:
    """Return the settings of registries from files and the `mirror_options` of the verb, which have precedence."""
    made, context = configuration(), click.get_current_context()
    use = MirrorUse(context.params.get("mirror_use", MirrorUse.FIRST))
    found = {
        registry: RegistrySettings(**{field: value.value for field, value in table.items()})
        for registry, table in (made.registries if made else {}).items()
    }
    given: dict[str, dict[str, None]] = {}
    for registry, place in context.params.get("mirrors", ()):
        given.setdefault(registry, {})[place] = None
    for registry, places in given.items():
        found[registry] = found.get(registry, RegistrySettings(mirror_use=use))._replace(mirrors=tuple(places))
    if context.get_parameter_source("mirror_use") in _TYPED:
        found = {registry: each._replace(mirror_use=use) for registry, each in found.items()}
    return found


def configured(command: click.Command) -> click.Command:
    """Return a verb with the option --config, which sets the defaults of all other options from files."""
    option = click.Option(
        ["-c", "--config", "config_files"], type=click.Path(), multiple=True, metavar="PATH",
        expose_value=False, allow_from_autoenv=False, callback=_set_defaults,
        is_eager=True,  # the other options need the defaults
        help="Read options from this file instead of /etc/puller/puller.toml and the user's file; may be "
        "repeated, the last one wins.",
    )  # fmt: skip
    verb = copy(command)
    verb.params = [*command.params, option]
    return verb


def _set_defaults(ctx: click.Context, _option: click.Parameter, paths: tuple[str, ...]) -> None:
    """Read the files and set the defaults; raises UsageError with one line for each error."""
    if ctx.resilient_parsing:  # completion reads no files
        return
    if ctx.command.name == "pull":
        _warn_of_unused_variables(ctx)
    root = ctx.find_root()
    named = [Path(path) for path in paths or root.params.get("config_files", ())]
    if not named and not root.obj and not any(map(_is_there, config_files())):
        return
    from puller.cli.configuration import Configuration  # noqa: PLC0415 - most hosts have no file

    # `puller config` reads for two verbs: a file may be a pipe such as <(make-config), which can be read once.
    root.obj = Configuration(ctx, root.obj.found if root.obj else named)
    ctx.default_map = {name: each.value for name, each in root.obj.options.items()}


def _warn_of_unused_variables(ctx: click.Context) -> None:
    """Warn of variables that look like options with a spelling error."""
    if given := {name for name in os.environ if name.startswith(_PREFIX)}:
        known = {f"{_PREFIX}{str(param.name).upper()}" for param in ctx.command.params}
        known |= {f"{_PREFIX}CONFIG", f"{_PREFIX}BROKER"}  # that of workers and the controller may be set on a host
        known |= {*(str(param.envvar) for param in ctx.command.params if param.envvar)}
        if given - known:
            for line in import_module("puller.cli.usage").misspelt_variables(given - known, known):
                click.echo(f"puller: {line}", err=True)


def _is_there(path: Path) -> bool:
    """Tell whether there is a file, or something that keeps it from being read."""
    try:
        path.stat()
    except OSError as error:
        return not isinstance(error, (FileNotFoundError, NotADirectoryError))
    return True
