"""Expansion of variables in Compose files and Dockerfiles: `$NAME`, `${NAME:-default}` and others.

https://docs.docker.com/reference/compose-file/interpolation/ and, with patterns such as `${NAME%.*}`,
https://docs.docker.com/reference/dockerfile/#environment-replacement
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate

from puller.text import shorten

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-+?]|##?|%%?|//?")
_DEEPEST = 20
_LONGEST = 64 * 1024
"""Characters of a value; variables in variables could grow without end."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A value with its variables expanded."""

    text: str
    unset: tuple[str, ...] = ()
    """Variables without value and default, expanded to the empty string."""


class _Expansion:
    """Expands the variables of one value."""

    def __init__(self, values: Mapping[str, str], escape: str) -> None:
        self._values = values
        self._escape = escape
        self.unset: list[str] = []

    def expand(self, text: str, depth: int = 0) -> str:
        """Expand all variables; raise ValueError for a $ that starts no variable."""
        if depth > _DEEPEST:
            raise ValueError("variables are nested too deeply")
        parts: list[str] = []
        position = size = 0
        while position < len(text):
            if size > _LONGEST:
                raise ValueError("too long after the expansion of variables")
            char = text[position]
            if char == self._escape and text[position + 1 : position + 2] == "$":
                parts.append("$")
                position += 2
            elif char == "$":
                part, position = self._variable(text, position + 1, depth)
                parts.append(part)
            else:
                end = next((at for at in range(position + 1, len(text)) if text[at] in ("$", self._escape)), len(text))
                parts.append(text[position:end])
                position = end
            size += len(parts[-1])
        return "".join(parts)

    def _variable(self, text: str, start: int, depth: int) -> tuple[str, int]:
        if text[start : start + 1] != "{":
            bare = _NAME.match(text, start)
            if not bare:
                raise ValueError("a lone $: write $$ for a dollar sign")
            return self._value(bare.group()), bare.end()
        end = _closing(text, start)
        inner = text[start + 1 : end]
        name = _NAME.match(inner)
        if not name:
            raise ValueError(f"not a variable: ${{{shorten(inner, 40)}}}")
        operator = _OPERATOR.match(inner, name.end())
        if not operator:
            if name.end() != len(inner):
                raise ValueError(f"not a variable: ${{{shorten(inner, 40)}}}")
            return self._value(name.group()), end + 1
        return self._apply(name.group(), operator.group(), inner[operator.end() :], depth + 1), end + 1

    def _value(self, name: str) -> str:
        if name not in self._values:
            self.unset.append(name)
        return self._values.get(name, "")

    def _apply(self, name: str, operator: str, word: str, depth: int) -> str:
        value = self._values.get(name)
        there = bool(value) if operator[0] == ":" else value is not None
        match operator[-1]:
            case "-":
                return value or "" if there else self.expand(word, depth)
            case "+":
                return self.expand(word, depth) if there else ""
            case "?":
                if not there:
                    raise ValueError(f"the variable {name} is required: {self.expand(word, depth) or 'set it'}")
                return value or ""
        return _cut(self._value(name), operator, self.expand(word, depth))


def expand(text: str, values: Mapping[str, str], *, escape: str = "$") -> Expanded:
    """Expand the variables of `text`; raise ValueError for a required one that is not set, and for bad syntax.

    `escape` before a dollar sign makes it literal: `$$` in Compose, a backslash in a Dockerfile.
    """
    if "$" not in text:
        return Expanded(text)
    expansion = _Expansion(values, escape)
    return Expanded(expansion.expand(text), tuple(dict.fromkeys(expansion.unset)))


def _closing(text: str, start: int) -> int:
    """Return the position of the brace that closes the one at `start`."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] == "{" and (position == start or text[position - 1] == "$"):
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    raise ValueError(f"a variable without its closing brace: ${shorten(text[start:], 40)}")


def _cut(value: str, operator: str, pattern: str) -> str:
    """Remove the shortest or longest matching prefix or suffix, or replace, as a shell does."""
    if operator[0] == "/":
        wanted, _, instead = pattern.partition("/")
        glob = translate(wanted).removesuffix(r"\Z").removesuffix(r"\z")
        return re.sub(glob, lambda _: instead, value, count=0 if operator == "//" else 1)
    glob = translate(pattern)
    sizes = range(len(value) + 1) if len(operator) == 1 else range(len(value), -1, -1)
    for size in sizes:
        cut = size if operator[0] == "#" else len(value) - size
        head, tail = value[:cut], value[cut:]
        if re.match(glob, head if operator[0] == "#" else tail):
            return tail if operator[0] == "#" else head
    return value
