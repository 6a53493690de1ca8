"""Help in sections: which one an option stands in is said where the option is."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound="Callable[..., Any]")

_OTHER = "Other"


def section(title: str, *options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Join decorators, arguments among them, into one that gives a verb these options under a title of their own."""

    def decorate(verb: _F) -> _F:
        for option in reversed(options):
            verb = option(verb)
            verb.__click_params__[-1].section = title  # type: ignore[attr-defined]
        return verb

    return decorate


class SectionedCommand(click.Command):
    """A verb whose `--help` shows its options section by section, in the order in which they were given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take an option whose value may be left out (`--prefetch`) without one: click would take the next argument."""
        alone = {
            name: param.flag_value
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and not param.is_flag and isinstance(param.flag_value, str)
            for name in param.opts
        }
        end = args.index("--") if "--" in args else len(args)
        named = [f"{each}={alone[each]}" if each in alone else each for each in args[:end]]
        return super().parse_args(ctx, [*named, *args[end:]])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list for each section; what belongs to none, such as --help, comes last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                sections.setdefault(getattr(param, "section", _OTHER), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
