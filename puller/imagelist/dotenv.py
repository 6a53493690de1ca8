"""The `.env` file of a Compose project (https://docs.docker.com/compose/how-tos/environment-variables/).

python-dotenv has another syntax, without `$NAME` (only `${NAME}`) and `NAME: value`.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from puller.errors import ListError
from puller.imagelist.source import read_file
from puller.imagelist.variables import expand

_LINE = re.compile(
    r"""^[^\S\n]*(?:export[^\S\n]+)?(?P<name>[A-Za-z_][\w.-]*)[^\S\n]*[=:][^\S\n]*
    (?:'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|(?P<bare>[^\n]*))""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"(?:^|\s)#.*")
_ESCAPE = re.compile(r"\\([nrt\"\\])")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Read the variables of a file; empty if it does not exist. Values may refer to variables of `environment`."""
    try:
        data = read_file(path, str(path))
    except ListError:
        return {}
    return parse(data.decode(errors="replace").removeprefix("\ufeff").replace("\r\n", "\n"), environment)


def parse(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Read `NAME=value` lines: a value is bare, literal in 'single' quotes, or has escapes in "double" quotes."""
    found: dict[str, str] = {}
    for match in _LINE.finditer(text):
        single, double, bare = match["single"], match["double"], match["bare"]
        if single is not None:
            found[match["name"]] = single
            continue
        if double is None:
            value = _COMMENT.sub("", bare).strip()
        else:
            value = _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), double)
        try:
            found[match["name"]] = expand(value, {**found, **environment}, escape="\\").text
        except ValueError:
            found[match["name"]] = value
    return found
