"""The content of configuration files, checked: the options of verbs, and the tables of registries.

The keys are the long names of options, the values are checked like those of the command line. A key at the top level
applies to every verb that has the option, a key in a table such as `[pull]` to that verb. A table such as
`[registry."docker.io"]` has the settings of one registry.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import click

from puller.cli.toml_file import ConfigFile, Found, Value, find, suggest
from puller.errors import UsageError
from puller.image.reference import mirror_place, registry_name
from puller.settings import MirrorUse

Check = Callable[[Any, Path], Any]
"""Returns the value of a key as the program uses it, given the path of its file; raises ValueError."""
Checks = Mapping[str, tuple[str, Check]]
"""The name and the check of each key."""
Values = dict[str, Value]
"""Values by the names of click's parameters, or of the fields of RegistrySettings."""

_NOT_IN_FILES = {"config", "failed", "help"}
_REGISTRY = "registry"
_HUB = "docker.io"
_MOST = 1000
"""Concurrent pulls from one registry."""
_MIRRORS_WANTED = 'must be a list of text, such as ["mirror.example:5000/prefix"]'
_USE_WANTED = f"must be one of {', '.join(map(repr, map(str, MirrorUse)))}"


def verb_of(ctx: click.Context, name: str) -> click.Command:
    """Return a verb of the program by its name."""
    group = cast(click.Group, ctx.find_root().command)
    return cast(click.Command, group.get_command(ctx, name))


def options_of(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a verb by their long names, without the leading dashes; of a group those of its verbs."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        parts = [command.get_command(context, name) for name in reversed(command.list_commands(context))]
        return {name: option for part in parts if part for name, option in options_of(part).items()}
    return {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--") and name.removeprefix("--") not in _NOT_IN_FILES
    }


def _verb_name(ctx: click.Context) -> str:
    """Return the name of the verb of a context, of `puller fleet check` that is `fleet`."""
    while ctx.parent and ctx.parent.parent:
        ctx = ctx.parent
    return str(ctx.command.name)


class Configuration:
    """The content of the files, checked for one verb; others are imported only when a file has options for them.

    A later file wins over an earlier one; in a file, the table of a verb wins over the top level.
    """

    def __init__(self, ctx: click.Context, source: Found | Sequence[Path]) -> None:
        """Check files, which are read unless they have been, for the verb of `ctx`.

        Raises UsageError with one line for each error, for any verb.
        """
        self.found = found = source if isinstance(source, Found) else find(source)
        self.options: Values = {}
        self.registries: dict[str, Values] = {}
        self._problems = [*found.problems]
        self._ctx = ctx
        self._mine = _verb_name(ctx)
        self._verbs = cast(click.Group, ctx.find_root().command).list_commands(ctx)
        for file in found.files:
            self._read(file)
        if use := self.options.get("mirror_use"):  # the default of all tables of registries
            for table in self.registries.values():
                table.setdefault("mirror_use", use._replace(value=MirrorUse(use.value)))
        if self._problems:
            raise UsageError("\n".join(self._problems))

    def _complain(self, file: ConfigFile, keys: tuple[str, ...], reason: str) -> None:
        self._problems.append(file.problem(keys, reason))

    def _read(self, file: ConfigFile) -> None:
        tables = {key: value for key, value in file.data.items() if isinstance(value, dict) or key == _REGISTRY}
        registries = tables.pop(_REGISTRY, {})
        self.options |= self._read_top(file)
        for name, table in tables.items():
            if name in self._verbs:
                values = self._read_table(file, table, (name,), self._checks(name))
                self.options |= values if name == self._mine else {}
            else:
                self._complain(file, (name,), f"unknown command{suggest(name, [*self._verbs, _REGISTRY])}")
        self._read_registries(file, registries)

    def _checks(self, verb: str) -> Checks:
        options = options_of(verb_of(self._ctx, verb))
        return {name: (str(option.name), partial(_checked, option)) for name, option in options.items()}

    def _read_top(self, file: ConfigFile) -> Values:
        top = {key: value for key, value in file.data.items() if not isinstance(value, dict) and key != _REGISTRY}
        mine = self._checks(self._mine) if top else {}
        own = {key: value for key, value in top.items() if _plain(key) in mine}
        for key in (key for key in top if key not in own):
            verbs = [checks for checks in map(self._checks, self._verbs) if _plain(key) in checks]
            complaints = [_read_table(file, {key: top[key]}, (), checks)[1] for checks in verbs]
            if key in self._verbs and not verbs:
                self._complain(file, (key,), f"is a command: write [{key}], with its options below")
            elif not verbs:
                known = {name for verb in self._verbs for name in (*self._checks(verb), verb)}
                self._complain(file, (key,), f"is not an option of any command{suggest(_plain(key), known)}")
            elif all(complaints):
                self._problems += complaints[0]
        return self._read_table(file, own, (), mine)

    def _read_registries(self, file: ConfigFile, tables: Any) -> None:
        if not isinstance(tables, dict):
            self._complain(file, (_REGISTRY,), 'must be a table for each registry, such as [registry."docker.io"]')
            return
        spelt: dict[str, str] = {}
        for typed, table in tables.items():
            keys = (_REGISTRY, typed)
            try:
                name = _registry_name(typed, table, spelt)
            except ValueError as error:
                self._complain(file, keys, str(error))
                continue
            spelt[name] = typed
            values = self._read_table(file, table, keys, _REGISTRY_CHECKS)
            if name == _HUB and (insecure := values.get("insecure")) and insecure.value:
                self._complain(file, insecure.keys, "not allowed for Docker Hub: it is always asked with TLS")
            self.registries.setdefault(name, {}).update(values)

    def _read_table(self, file: ConfigFile, table: Mapping[str, Any], above: tuple[str, ...], checks: Checks) -> Values:
        values, wrong = _read_table(file, table, above, checks)
        self._problems += wrong
        return values


def _read_table(
    file: ConfigFile, table: Mapping[str, Any], above: tuple[str, ...], checks: Checks
) -> tuple[Values, list[str]]:
    """Return the values of a table, and one line for each error."""
    found: Values = {}
    problems: list[str] = []
    for key, value in table.items():
        keys = (*above, key)
        if _plain(key) not in checks:
            what = "unknown key" if above[0] == _REGISTRY else f"is not an option of {above[0]}"
            problems.append(file.problem(keys, f"{what}{suggest(_plain(key), checks)}"))
            continue
        name, check = checks[_plain(key)]
        if name in found:
            problems.append(file.problem(keys, f"is the same option as {found[name].keys[-1]}"))
            continue
        try:
            found[name] = Value(check(value, file.path), file, keys)
        except (ValueError, click.BadParameter) as error:
            reason = error.message if isinstance(error, click.BadParameter) else str(error)
            problems.append(file.problem(keys, reason.removesuffix(".")))
    return found, problems


def _plain(key: str) -> str:
    return key.replace("_", "-")


def _checked(option: click.Option, value: Any, _file: Path) -> Any:
    """Return a value as click passes it to the option; raises ValueError or click.BadParameter."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value
    if option.multiple and not isinstance(value, list):
        raise ValueError('must be a list, such as ["…"]')
    taken = [_scalar(option, each) for each in value] if option.multiple else _scalar(option, value)
    option.type_cast_value(click.Context(click.Command(None)), taken)
    return taken


def _scalar(option: click.Option, value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if option.count or isinstance(option.type, click.types.IntParamType):
        if not isinstance(value, int) or not number:
            raise ValueError("must be an integer")
        return value
    if isinstance(value, str):
        return value
    if number and not isinstance(option.type, (click.Choice, click.Path, click.types.StringParamType)):
        return str(value)  # a duration in seconds, a limit
    raise ValueError("must be text in quotes")


def _registry_name(typed: str, table: Any, before: Mapping[str, str]) -> str:
    if not isinstance(table, dict):
        raise ValueError('must be a table: write [registry."docker.io"], with its keys below')  # noqa: TRY004 - the text of an error line
    try:
        name = registry_name(typed.lower())
    except ValueError:
        if table and all(isinstance(value, dict) for value in table.values()):
            dotted = f"{typed}.{next(iter(table))}"
            raise ValueError(f'a name with dots needs quotes: [{_REGISTRY}."{dotted}"]') from None
        raise
    if name in before:
        raise ValueError(f"is the same registry as {before[name]!r}")
    return name


def _check(fits: Callable[[Any], bool], reason: str, convert: Check = lambda value, _file: value) -> Check:
    """Return a check that raises ValueError with `reason` for a value that does not fit."""

    def check(value: Any, file: Path) -> Any:
        if not fits(value):
            raise ValueError(reason)
        return convert(value, file)

    return check


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_concurrency(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MOST


def _authorities(value: str, file: Path) -> str:
    path = file.absolute().parent / Path(value).expanduser()
    if not os.path.isfile(path) and os.access(path.parent, os.X_OK):  # noqa: PTH113 - raises no PermissionError
        raise ValueError(f"file {path} not found")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} cannot be read: permission denied")
    return str(path)


_REGISTRY_CHECKS: Checks = {
    "concurrency": ("concurrency", _check(_is_concurrency, f"must be an integer from 1 to {_MOST}")),
    "mirrors": ("mirrors", _check(_is_list_of_text, _MIRRORS_WANTED, lambda texts, _: tuple(map(mirror_place, texts)))),
    "mirror-use": ("mirror_use", _check([*MirrorUse].__contains__, _USE_WANTED, lambda text, _: MirrorUse(text))),
    "insecure": ("insecure", _check(lambda value: isinstance(value, bool), "must be true or false")),
    "ca": ("ca", _check(lambda value: isinstance(value, str), "must be the path of a file, as text", _authorities)),
}
