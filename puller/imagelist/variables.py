"""Variables in Compose files, Dockerfiles and `.env` files: `$NAME`, `${NAME:-default}` and others.

https://docs.docker.com/reference/compose-file/interpolation/ and, with patterns such as `${NAME%.*}`,
https://docs.docker.com/reference/dockerfile/#environment-replacement
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import translate
from pathlib import Path
from typing import NamedTuple

from puller.imagelist.source import read_file
from puller.text import shorten

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACED = r"(?s)([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?]|##?|%%?|//?)(.*))?"
_BRACE = re.compile(r"(?<=\$)\{|\}")
_DEEPEST = 20
_LONGEST = 64 * 1024
"""Characters of a value; variables in variables could grow without end."""
_DOTENV = re.compile(
    r"""^[^\S\n]*(?:export[^\S\n]+)?(?P<name>[A-Za-z_][\w.-]*)[^\S\n]*[=:][^\S\n]*
    (?:'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|(?P<bare>[^\n]*))""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_COMMENT = r"(?:^|\s)#.*"
_ESCAPE = r"\\([nrt\"\\])"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class Expanded(NamedTuple):
    """A value with its variables expanded."""

    text: str
    unset: tuple[str, ...] = ()
    """Variables without value and default, expanded to the empty string."""


def expand(text: str, values: Mapping[str, str], *, escape: str = "$") -> Expanded:
    """Expand the variables of `text`; raise ValueError for a required one that is not set, and for bad syntax.

    `escape` before a dollar sign makes it literal: `$$` in Compose, a backslash in a Dockerfile.
    """
    if "$" not in text:
        return Expanded(text)
    expansion = _Expansion(values, escape)
    return Expanded(expansion.expand(text), tuple(dict.fromkeys(expansion.unset)))


def read_dotenv(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Read the variables of a Compose project: the files in COMPOSE_ENV_FILES, or else its `.env`, if it has one.

    Values may refer to variables of `environment`. Raises ListError for a file that cannot be read.
    """
    named = [Path(name.strip()) for name in environment.get("COMPOSE_ENV_FILES", "").split(",") if name.strip()]
    usual = folder / ".env"
    if environment.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in ("1", "true"):
        return {}
    if not named and (usual.is_dir() or not os.path.exists(usual)):  # noqa: PTH110 - a folder without permission has none
        return {}
    found: dict[str, str] = {}
    for path in named or [usual]:
        found |= _read_dotenv(path, {**found, **environment})
    return found


def _read_dotenv(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Read one file.

    https://docs.docker.com/compose/how-tos/environment-variables/ - python-dotenv has another syntax, without `$NAME`
    (only `${NAME}`) and `NAME: value`.
    """
    text = read_file(path, str(path)).decode(errors="replace").removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str] = {}
    for match in _DOTENV.finditer(text):
        name, single, double, bare = match.groups()
        value = re.sub(_COMMENT, "", bare or "").strip()
        if double is not None:
            value = re.sub(_ESCAPE, lambda match: _ESCAPES.get(match[1], match[1]), double)
        with suppress(ValueError):  # it stays as it is written
            value = expand(value, {**found, **environment}, escape="\\").text
        found[name] = value if single is None else single
    return found


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
        result, position = "", 0
        while position < len(text):
            if len(result) > _LONGEST:
                raise ValueError("too long after the expansion of variables")
            if text.startswith(f"{self._escape}$", position):
                part, position = "$", position + 2
            elif text[position] == "$":
                part, position = self._variable(text, position + 1, depth)
            else:
                end = next((at for at in range(position + 1, len(text)) if text[at] in ("$", self._escape)), len(text))
                part, position = text[position:end], end
            result += part
        return result

    def _variable(self, text: str, start: int, depth: int) -> tuple[str, int]:
        if not text.startswith("{", start):
            bare = _NAME.match(text, start)
            if not bare:
                raise ValueError("a lone $: write $$ for a dollar sign")
            return self._value(bare.group()), bare.end()
        end = _closing(text, start)
        inner = text[start + 1 : end]
        braced = re.fullmatch(_BRACED, inner)
        if not braced:
            raise ValueError(f"not a variable: ${{{shorten(inner, 40)}}}")
        name, operator, word = braced.groups()
        return self._apply(name, operator, word, depth + 1) if operator else self._value(name), end + 1

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


def _closing(text: str, start: int) -> int:
    """Return the position of the brace that closes the one at `start`."""
    depth = 0
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.start()
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
