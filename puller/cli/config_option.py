"""Options from files, by click's own means: what the files say becomes the defaults of a verb.

Every start of the program comes through here, so what reads files is imported where there is one.
"""

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

_CHOSEN, _CONFIGURATION = f"{__name__}.chosen", f"{__name__}.configuration"
_STRENGTH = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.DEFAULT,
)


def configuration() -> "Configuration | None":
    """Give what files say to the verb that runs now; None where there is no file."""
    found: Configuration | None = click.get_current_context().meta.get(_CONFIGURATION)
    return found


def registries() -> Mapping[str, RegistrySettings]:
    """Give the settings of single registries to the verb that runs now."""
    found = configuration()
    return found.settings if found else {}


def outranks(one: str, other: str) -> bool:
    """Tell whether an option was said in a stronger place than another: --max-fail typed, fail-fast in a file."""
    source = click.get_current_context().get_parameter_source
    first, second = source(one), source(other)
    return first in _STRENGTH and second in _STRENGTH and _STRENGTH.index(first) < _STRENGTH.index(second)


def typed(option: str) -> bool:
    """Tell whether an option was said for this run: as a flag, or as a variable."""
    return click.get_current_context().get_parameter_source(option) in _STRENGTH[:2]


def configured(command: click.Command) -> click.Command:
    """Give a verb the option --config, which takes the defaults of all its other options from files."""
    if not isinstance(command, click.Group) and not any("--config" in each.opts for each in command.params):
        command.params.append(
            click.Option(
                ["-c", "--config", "config_files"],
                type=click.Path(),
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


def _choose(ctx: click.Context, _option: click.Parameter, paths: tuple[str, ...]) -> None:
    ctx.meta[_CHOSEN] = paths


choose_config = click.option(
    "-c", "--config", "config_files", type=click.Path(), multiple=True, metavar="PATH",
    envvar="PULLER_CONFIG", expose_value=False, callback=_choose, help="The same as after the verb.",
)  # fmt: skip
"""Let the program itself have --config, and the variable PULLER_CONFIG, for whatever verb comes."""


def _load(ctx: click.Context, _option: click.Parameter, paths: tuple[str, ...]) -> None:
    """Read the files and let them be the defaults; raises UsageError with a line for everything that is wrong."""
    if ctx.resilient_parsing:  # completion: whoever presses Tab does not want to read about files
        return
    paths = paths or ctx.meta.get(_CHOSEN, ())
    before: Configuration | None = ctx.meta.get(_CONFIGURATION)  # `puller config` asks for itself, and for pull

    if not before and not paths and not any(map(_may_be_there, config_files())):
        return

    ctx.meta[_CONFIGURATION] = made = load(ctx, paths, before.found if before else None)
    ctx.default_map = {name: each.value for name, each in made.options.items()}


def _may_be_there(path: os.PathLike[str]) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 - tells more than Path.exists, which takes what it may not see for absent
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the files say, all of it looked at."""

    found: Found
    options: Mapping[str, Value]
    """Those of one verb, by the names of click's parameters."""
    registries: Mapping[str, Mapping[str, Value]]
    """What is said of each registry, by the names of the fields of RegistrySettings."""
    settings: Mapping[str, RegistrySettings]


def load(ctx: click.Context, paths: Sequence[str] = (), found: Found | None = None) -> Configuration:
    """Read the files for the verb of `ctx`; raises UsageError with a line for everything that is wrong in them.

    `found` is what was read before: a file such as <(make-config) can be read once.
    """
    found = found or find([Path(path) for path in paths])
    options, wrong_options = file_options(ctx, found.files)
    registries, wrong_registries = registries_in(found.files)
    if use := options.get("mirror_use"):  # beside the tables it is for those that say nothing of their own
        for table in registries.values():
            table.setdefault("mirror_use", replace(use, value=MirrorUse(use.value)))
    if problems := (*found.problems, *wrong_options, *wrong_registries):
        raise UsageError("\n".join(problems))
    return Configuration(found, options, registries, settings(registries))
