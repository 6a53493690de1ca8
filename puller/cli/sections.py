"""The options of verbs: their sections in `--help`, and the kinds of option that several verbs have."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import zip_longest
from typing import Any, TypeVar

import click

EXIT_CODES = (
    "Exit codes: 0 all images are present, 1 some failed, 2 wrong usage or an invalid list, 3 some of several hosts "
    "could not be reached, 4 a canary or a limit of failures ended a run over hosts, 69 no engine, 74 a report cannot "
    "be written, 75 all failures are temporary, 129/130/143 interrupted."
)
UNITS = (
    "D is a duration, such as 30s, 5m, 1h30m or 30d. SIZE is a number of bytes, such as 500MB, 10GB or 4GiB. RATE is a "
    "SIZE a second, such as 50MB/s."
)
_F = TypeVar("_F", bound="Callable[..., Any]")


def section(title: str | None, *options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Join decorators of options and arguments into one; `--help` shows these options under a title, if it is given."""

    def decorate(verb: _F) -> _F:
        for option in reversed(options):
            verb = option(verb)
            if title:
                verb.__click_params__[-1].section = title  # type: ignore[attr-defined]
        return verb

    return decorate


def flag(*names: str, **more: Any) -> Callable[[_F], _F]:
    """Return an option without a value."""
    return click.option(*names, is_flag=True, **more)


def number(*names: str, least: int = 1, most: int | None = 1000, **more: Any) -> Callable[[_F], _F]:
    """Return an option that takes an integer."""
    more = {"type": click.IntRange(least, most), "show_default": True, "metavar": "N", **more}
    return click.option(*names, **more)


def choice(*names: str, default: StrEnum, **more: Any) -> Callable[[_F], _F]:
    """Return an option that takes one value of the enumeration of its default."""
    kind = click.Choice([each.value for each in type(default)])
    return click.option(*names, type=kind, default=default.value, show_default=True, **more)


_COMMON = "Common options"
text_or_json = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Format of the output."
)


class SectionedCommand(click.Command):
    """A verb whose `--help` shows its options section by section, and the `common` ones, by parameter, before them.

    Each option can be set by a variable, such as PULLER_JOBS.
    """

    def __init__(self, *args: Any, common: Sequence[str] = (), **more: Any) -> None:
        more.setdefault("context_settings", {"auto_envvar_prefix": "PULLER"})
        super().__init__(*args, **more)
        self.common = common

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give an option with an optional value (`--prefetch`) its default, as click would use the next argument.

        The next argument is its value if it is one of its choices: `--prefetch never` is not an image of this name.
        """
        alone = {
            name: (param.flag_value, getattr(param.type, "choices", ()))
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and not param.is_flag and isinstance(param.flag_value, str)
            for name in param.opts
        }
        end = args.index("--") if "--" in args else len(args)
        named = [
            f"{each}={alone[each][0]}" if each in alone and following not in alone[each][1] else each
            for each, following in zip_longest(args[:end], args[1:end])
        ]
        return super().parse_args(ctx, [*named, *args[end:]])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by section; those without one, such as --help, are last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        options = {str(param.name): param for param in self.get_params(ctx) if isinstance(param, click.Option)}
        for name in dict.fromkeys((*self.common, *options)):
            if record := options[name].get_help_record(ctx):
                title = _COMMON if name in self.common else getattr(options[name], "section", "Other")
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
