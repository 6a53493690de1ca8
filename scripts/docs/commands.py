"""Generates the page of commands from their help: `python -m scripts.docs.commands > docs/commands.md`."""

from collections.abc import Iterator

import click

from puller.cli.main import puller

PAGE = "docs/commands.md"
WIDTH = 78
"""The width that click uses on a terminal of 80 columns and more."""

_HEAD = """\
# Commands

The output of `puller --help` and `puller COMMAND --help`. `man puller` has the same.
"""


def page() -> str:
    """Return the page."""
    root = click.Context(puller, info_name="puller", terminal_width=WIDTH, **puller.context_settings)
    parts = [_HEAD, _block(root)]
    for name in puller.list_commands(root):
        if verb := puller.get_command(root, name):
            parts += _parts(verb, name, root, "##")
    return "\n".join(parts)


def _parts(verb: click.Command, name: str, parent: click.Context, mark: str) -> Iterator[str]:
    """Yield the heading and the help of a verb, and those of its own verbs."""
    context = click.Context(verb, info_name=name, parent=parent, terminal_width=WIDTH)
    yield f"{mark} {context.command_path.removeprefix('puller ')}\n"
    yield _block(context)
    if isinstance(verb, click.Group):
        for each in verb.list_commands(context):
            if below := verb.get_command(context, each):
                yield from _parts(below, each, context, f"{mark}#")


def _block(context: click.Context) -> str:
    return f"```text\n{context.get_help()}\n```\n"


if __name__ == "__main__":
    print(page(), end="")
