"""`puller config`: the effective settings, and where each of them comes from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from puller.cli.config_option import configuration
from puller.cli.configuration import Configuration, options_of, verb_of
from puller.cli.options import Parsed
from puller.cli.output import emit
from puller.cli.sections import text_or_json
from puller.cli.toml_file import find
from puller.cli.usage import variable_of
from puller.settings import RegistrySettings
from puller.text import clean

_VERB = "pull"


class _Row(NamedTuple):
    """One option."""

    name: str
    value: Any
    """The value as in a file; None where it is not set."""
    source: str
    """`flag`, `environment`, `file` or `default`."""
    origin: str | None
    """The flag, the variable, or the line of the file."""


class _Config(click.Command):
    """Has the options of `puller pull`, too, for the shell to complete."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        pull = verb_of(ctx, _VERB)
        items = [*super().shell_complete(ctx, incomplete), *pull.shell_complete(click.Context(pull), incomplete)]
        return [*{item.value: item for item in reversed(items)}.values()]


@click.command(
    "config", cls=_Config, context_settings={"ignore_unknown_options": True, "auto_envvar_prefix": "PULLER"},
    epilog="The text output is a configuration file: puller config > puller.toml",
)  # fmt: skip
@click.argument("arguments", metavar="[PULL OPTIONS]...", nargs=-1, type=click.UNPROCESSED)
@text_or_json
@click.pass_context
def command(ctx: click.Context, arguments: tuple[str, ...], form: str) -> None:
    """Show the effective settings of `puller pull` and where each of them comes from.

    A flag wins over a PULLER_ variable, a variable over a file, a file over the default. The file of the user wins
    over /etc/puller/puller.toml, key by key.

    \b
    puller config
    puller config --jobs 5 --format json
    """  # noqa: D301 - click wants the control character itself
    with verb_of(ctx, _VERB).make_context(_VERB, [*arguments], parent=ctx.parent) as pull:
        if surplus := pull.params["lists"]:
            raise click.UsageError(f"unexpected argument {clean(surplus[0], 60)!r}: only options are taken")
        made = configuration() or Configuration(pull, find())
        rows = [*_rows(pull, arguments, made)]
    registries = {name: [*_registry_rows(table)] for name, table in made.registries.items()}
    emit(_json(made, rows, registries) if form == "json" else _text(made, rows, registries))


def _rows(ctx: click.Context, arguments: Sequence[str], made: Configuration) -> Iterator[_Row]:
    typed, _, _ = ctx.command.make_parser(ctx).parse_args([*arguments])
    names = {option: name for name, option in reversed(options_of(ctx.command).items())}
    for option, name in reversed(names.items()):
        parameter = str(option.name)
        given, source, origin = option.default, "default", None
        match ctx.get_parameter_source(parameter):
            case ParameterSource.COMMANDLINE:
                given, source, origin = typed.get(parameter), "flag", f"--{name}"
            case ParameterSource.ENVIRONMENT:
                given, source, origin = option.value_from_envvar(ctx), "environment", variable_of(ctx, option)
            case ParameterSource.DEFAULT_MAP:
                given, source, origin = made.options[parameter].value, "file", made.options[parameter].where
        yield _Row(name, _plain(option, ctx.params.get(parameter), given), source, origin)


def _plain(option: click.Option, converted: Any, given: Any) -> Any:
    """Return a value as in a file: text as given, also for a size such as 10GB, numbers and booleans as converted."""
    is_size = isinstance(option.type, Parsed) and isinstance(given, str) and not given.isdecimal()
    if isinstance(converted, (bool, int)) and not is_size:
        return converted
    if isinstance(given, (list, tuple)):
        return [clean(str(each)) for each in given]
    if isinstance(given, (str, int, float)):
        return clean(str(given))
    return [] if option.multiple else None


def _registry_rows(table: Mapping[str, Any]) -> Iterator[_Row]:
    for key, default in RegistrySettings()._asdict().items():
        name, value = key.replace("_", "-"), table.get(key)
        setting = value.value if value else default
        shown = [*map(clean, setting)] if isinstance(setting, tuple) else setting
        yield _Row(name, shown, "file" if value else "default", value.where if value else None)


def _text(made: Configuration, rows: Sequence[_Row], registries: Mapping[str, Sequence[_Row]]) -> str:
    lines = [f"# read: {clean(str(file.path))}" for file in made.found.files]
    lines += [f"# not found: {clean(str(path))}" for path in made.found.absent]
    lines += ["", f"[{_VERB}]", *_table(rows)]
    for name, table in registries.items():
        lines += ["", f"[registry.{json.dumps(name)}]", *_table(table)]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[_Row]) -> list[str]:
    """Return TOML with the origin of each value as a comment; options that are not set are comments."""
    settings = [f"{row.name} = {json.dumps(row.value, ensure_ascii=False)}" for row in rows]
    written = [f"# {row.name}" if row.value is None else setting for row, setting in zip(rows, settings, strict=True)]
    width = min(40, max(map(len, written)))
    return [
        f"{text:<{width}}  # {row.source}{f': {clean(row.origin)}' if row.origin else ''}"
        + (", not set" if row.value is None else "")
        for row, text in zip(rows, written, strict=True)
    ]


def _json(made: Configuration, rows: Sequence[_Row], registries: Mapping[str, Sequence[_Row]]) -> str:
    found = [(file.path, True) for file in made.found.files] + [(path, False) for path in made.found.absent]
    document = {
        "schema": "puller.config/1",
        "files": [{"path": clean(str(path)), "found": there} for path, there in found],
        "options": _document(rows),
        "registries": {name: _document(table) for name, table in registries.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _document(rows: Sequence[_Row]) -> dict[str, Any]:
    return {row.name: {"value": row.value, "source": row.source, "from": row.origin} for row in rows}
