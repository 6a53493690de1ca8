"""Options in files: the keys are the long names of options, the values are checked like those of the command line.

A key at the top level applies to every verb that has the option, a key in a table such as `[pull]` to that verb.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from puller.cli.registry_tables import TABLE
from puller.cli.toml_file import ConfigFile, Value, suggest

_NOT_IN_FILES = {"config", "failed", "help"}


def options_of(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a verb by their long names, without the leading dashes."""
    return {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--") and name.removeprefix("--") not in _NOT_IN_FILES
    }


def verb_of(ctx: click.Context, name: str) -> click.Command:
    """Return a verb of the program; raises click.UsageError when there is none with this name."""
    group = ctx.find_root().command
    verb = group.get_command(ctx, name) if isinstance(group, click.Group) else None
    if verb is None:
        raise click.UsageError(f"unknown verb {name}")
    return verb


def file_options(ctx: click.Context, files: Iterable[ConfigFile]) -> tuple[dict[str, Value], list[str]]:
    """Return the options of the verb of `ctx` by parameter name, and one line for each error, for any verb.

    A later file wins over an earlier one; in a file, the table of a verb wins over the top level.
    """
    found: dict[str, Value] = {}
    problems: list[str] = []
    verbs = _Verbs(ctx)
    for file in files:
        top = {key: value for key, value in file.data.items() if not isinstance(value, dict)}
        top.pop(TABLE, None)  # `registries_in` reports that it must be a table
        found |= _read_top(file, top, verbs, problems)
        for name, table in file.data.items():
            if not isinstance(table, dict) or name == TABLE:
                continue
            if name not in verbs.names:
                problems.append(file.problem((name,), f"unknown verb{suggest(name, [*verbs.names, TABLE])}"))
                continue
            values = _read_table(file, table, (name,), verbs.options(name), problems)
            if name == ctx.command.name:
                found |= values
    return found, problems


class _Verbs:
    """The verbs of the program; a verb is imported only when a file has options for it."""

    def __init__(self, ctx: click.Context) -> None:
        self.ctx = ctx
        self.mine = str(ctx.command.name)
        group = ctx.find_root().command
        self.names = group.list_commands(ctx) if isinstance(group, click.Group) else [self.mine]

    def options(self, name: str) -> dict[str, click.Option]:
        return options_of(self.ctx.command if name == self.mine else verb_of(self.ctx, name))

    def having(self, key: str) -> Iterator[dict[str, click.Option]]:
        """Yield the options of all verbs that have this one, or only of the current verb if that has it."""
        mine = self.options(self.mine)
        if key in mine:
            yield mine
        else:
            yield from (options for options in map(self.options, self.names) if key in options)


def _read_top(file: ConfigFile, top: Mapping[str, Any], verbs: _Verbs, problems: list[str]) -> dict[str, Value]:
    mine = verbs.options(verbs.mine) if top else {}
    own = {key: value for key, value in top.items() if _plain(key) in mine}
    for key, value in top.items():
        if key in own:
            continue
        complaints: list[list[str]] = []
        for options in verbs.having(_plain(key)):
            wrong: list[str] = []
            complaints.append(wrong)
            _read_table(file, {key: value}, (), options, wrong)
        if key in verbs.names and not complaints:
            problems.append(file.problem((key,), f"is a verb: write [{key}], with its options below"))
        elif not complaints:
            known = {name for verb in verbs.names for name in (*verbs.options(verb), verb)}
            problems.append(file.problem((key,), f"is not an option of any verb{suggest(_plain(key), known)}"))
        elif all(complaints):
            problems += complaints[0]
    return _read_table(file, own, (), mine, problems)


def _read_table(
    file: ConfigFile,
    table: Mapping[str, Any],
    above: tuple[str, ...],
    options: Mapping[str, click.Option],
    problems: list[str],
) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, value in table.items():
        keys, option = (*above, key), options.get(_plain(key))
        if option is None:
            problems.append(file.problem(keys, f"is not an option of {above[0]}{suggest(_plain(key), options)}"))
            continue
        name = str(option.name)
        if name in found:
            problems.append(file.problem(keys, f"is the same option as {found[name].keys[-1]}"))
            continue
        try:
            found[name] = Value(_checked(option, value), file, keys)
        except (ValueError, click.BadParameter) as error:
            reason = error.message if isinstance(error, click.BadParameter) else str(error)
            problems.append(file.problem(keys, reason.removesuffix(".")))
    return found


def _plain(key: str) -> str:
    return key.replace("_", "-")


def _checked(option: click.Option, value: Any) -> Any:
    """Return a value as click passes it to the option; raises ValueError or click.BadParameter."""
    if option.multiple:
        if not isinstance(value, list):
            raise ValueError('must be a list, such as ["…"]')
        taken: Any = [_scalar(option, each) for each in value]
    elif option.is_flag:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value
    else:
        taken = _scalar(option, value)
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
