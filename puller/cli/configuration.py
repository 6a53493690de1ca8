"""What files say to a verb: its options, and the settings of registries."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from puller.cli.file_options import file_options
from puller.config import MirrorUse
from puller.configfile import Found, Value, find, registries_in, settings
from puller.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import click

    from puller.config import RegistrySettings


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the files say, all of it looked at."""

    found: Found
    options: "Mapping[str, Value]"
    """Those of one verb, by the names of click's parameters."""
    registries: "Mapping[str, Mapping[str, Value]]"
    """What is said of each registry, by the names of the fields of RegistrySettings."""
    settings: "Mapping[str, RegistrySettings]"


def load(ctx: "click.Context", paths: "Sequence[str]" = (), found: Found | None = None) -> Configuration:
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
