"""The `.env` file beside a Compose file (https://docs.docker.com/compose/how-tos/environment-variables/)."""

import re
from typing import TYPE_CHECKING

from puller.errors import ListError
from puller.imagelist.origin import read_whole
from puller.imagelist.variables import expand

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


_LINE = re.compile(
    r"""^[^\S\n]*(?:export[^\S\n]+)?(?P<name>[A-Za-z_][\w.-]*)[^\S\n]*[=:][^\S\n]*
    (?:'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|(?P<bare>[^\n]*))""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"(?:^|\s)#.*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read(path: "Path", environment: "Mapping[str, str]") -> dict[str, str]:
    """Read the variables of a file that need not be there; those of `environment` may stand in its values."""
    try:
        data = read_whole(path, str(path))
    except ListError:
        return {}
    return parse(data.decode(errors="replace").removeprefix("\ufeff").replace("\r\n", "\n"), environment)


def parse(text: str, environment: "Mapping[str, str]") -> dict[str, str]:
    """Read `NAME=value` lines: bare, in 'single' quotes as it stands, in "double" quotes with escapes."""
    found: dict[str, str] = {}
    for match in _LINE.finditer(text):
        single, double, bare = match["single"], match["double"], match["bare"]
        if single is not None:
            found[match["name"]] = single
            continue
        value = _COMMENT.sub("", bare).strip() if double is None else re.sub(r"\\([nrt\"\\])", _unescape, double)
        try:
            found[match["name"]] = expand(value, {**found, **environment}, escape="\\").text
        except ValueError:
            found[match["name"]] = value
    return found


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[1])
