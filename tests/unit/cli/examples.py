"""Finds the calls of puller in pages, in files of other programs, and in puller's own help."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import yaml

from puller.cli.main import puller

ROOT = Path(__file__).parents[3]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FILES = tuple(path for path in sorted((ROOT / "config").rglob("*")) if path.is_file())

_CALL = re.compile(r"""(?<![\w.-])(?<!Usage: )puller"?[ ]+(?P<verb>[a-z]+)(?![\w-])(?P<rest>[^`\n]*)""")
_ENDS = set("();<>|&")
CONTEXT = click.Context(puller, info_name="puller", **puller.context_settings)
VERBS = {name: puller.get_command(CONTEXT, name) for name in puller.list_commands(CONTEXT)}


@dataclass(frozen=True)
class Example:
    """One call, and where it stands."""

    where: str
    verb: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        """Name it in the output of a test."""
        return f"{self.where}: puller {self.verb} {shlex.join(self.arguments)}"

    def parse(self) -> None:
        """Let puller parse it, without doing anything; raises click.UsageError for what it does not take."""
        command = VERBS[self.verb]
        assert command
        if isinstance(command, click.Group) and not self.arguments:
            return  # prose about all its verbs
        # Whatever a shell would put in is a number, which most options take.
        arguments = [re.sub(r"\$\{?\w+(\[@\])?\}?", "1", each) for each in self.arguments]
        context = command.make_context(self.verb, arguments, parent=CONTEXT)
        if isinstance(command, click.Group):
            name, below, rest = command.resolve_command(context, arguments)
            assert below
            below.make_context(name, rest, parent=context)


def options() -> set[str]:
    """Return the options of all verbs, with those of the verbs of groups."""
    groups = [each for each in VERBS.values() if isinstance(each, click.Group)]
    below = [group.get_command(CONTEXT, name) for group in groups for name in group.list_commands(CONTEXT)]
    every = [each for each in (*VERBS.values(), *below) if each]
    return {name for each in every for param in each.get_params(CONTEXT) for name in param.opts}


def examples(path: Path) -> list[Example]:
    """Find all calls in a file."""
    where = str(path.relative_to(ROOT))
    return [example for text in _texts(path) for example in calls(where, text)]


def calls(where: str, text: str) -> Iterator[Example]:
    """Find the calls in a text: each to the end of its line, of its backticks, or to a pipe and the like."""
    for match in _CALL.finditer(re.sub(r"\\\n\s*", " ", text)):
        if match["verb"] in VERBS:
            yield Example(where, match["verb"], tuple(_words(match["rest"])))


def _words(rest: str) -> Iterator[str]:
    lexer = shlex.shlex(rest, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    for word in lexer:
        if set(word) <= _ENDS:
            return
        yield word


def _texts(path: Path) -> Iterator[str]:
    """Give what is to be read of a file, by its form: a command that is folded over lines comes in one."""
    text = path.read_text()
    if path.suffix == ".md":
        yield from unfolded(text)
        return
    if path.suffix in {".yml", ".yaml"}:
        yield from _strings([*yaml.safe_load_all(text)])
        text = "\n".join(re.findall(r"(?:^|\s)#(.*)", text))
    elif path.suffix == ".json":
        yield from _strings(json.loads(text))
        return
    yield text


def unfolded(page: str) -> Iterator[str]:
    """Give the blocks of code of a page as they are, and its prose with no line broken inside backticks."""
    for number, part in enumerate(re.split(r"^```.*$", page, flags=re.MULTILINE)):
        if number % 2:
            yield part
        else:
            yield re.sub(r"`[^`]+`", lambda match: " ".join(match[0].split()), part)


def _strings(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _strings([key, value])
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
