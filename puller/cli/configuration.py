"""The configuration of one verb: the content of the files, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import click

from puller.cli.file_options import file_options
from puller.cli.registry_tables import registries_in, settings
from puller.cli.toml_file import Found, Value, find
from puller.errors import UsageError
from puller.settings import MirrorUse, RegistrySettings

__all__ = ["Configuration", "find"]


@dataclass(frozen=True, slots=True)
class Configuration:
    """The content of the files, checked."""

    found: Found
    options: Mapping[str, Value]
    """The options of one verb, by the names of click's parameters."""
    registries: Mapping[str, Mapping[str, Value]]
    """The settings of each registry, by the names of the fields of RegistrySettings."""
    settings: Mapping[str, RegistrySettings]

    @classmethod
    def of(cls, ctx: click.Context, found: Found) -> "Configuration":
        """Check the files for the verb of `ctx`; raises UsageError with one line for each error."""
        options, wrong_options = file_options(ctx, found.files)
        registries, wrong_registries = registries_in(found.files)
        if use := options.get("mirror_use"):  # the default of all tables of registries
            for table in registries.values():
                table.setdefault("mirror_use", replace(use, value=MirrorUse(use.value)))
        if problems := (*found.problems, *wrong_options, *wrong_registries):
            raise UsageError("\n".join(problems))
        return cls(found, options, registries, settings(registries))
