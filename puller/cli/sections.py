"""Help in sections: which one an option stands in is said where the option is."""

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_F = TypeVar("_F", bound="Callable[..., Any]")

_OTHER = "Other"


def section(title: str, *options: "Callable[[_F], _F]") -> "Callable[[_F], _F]":
    """Join decorators, arguments among them, into one that gives a verb these options under a title of their own."""

    def decorate(verb: _F) -> _F:
        for option in reversed(options):
            verb = option(verb)
            verb.__click_params__[-1].section = title  # type: ignore[attr-defined]
        return verb

    return decorate


class SectionedCommand(click.Command):
    """A verb whose `--help` shows its options section by section, in the order in which they were given."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list for each section; what belongs to none, such as --help, comes last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                sections.setdefault(getattr(param, "section", _OTHER), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
