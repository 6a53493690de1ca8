"""Configuration files: their tables, and the line of each key."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import click

from puller.errors import UsageError
from puller.system import files, paths as places
from puller.text import clean

_LARGEST = 1 << 20
"""Bytes; a larger file is not a configuration."""
_FEW = 6
_ABSENT = (FileNotFoundError, NotADirectoryError)
_PLACE = re.compile(r"(?P<reason>.*) \(at line (?P<line>\d+), column \d+\)", re.DOTALL)


class ConfigFile(NamedTuple):
    """The content of one file."""

    path: Path
    text: str
    data: Mapping[str, Any]

    def where(self, *keys: str) -> str:
        """Return the place of a key, or else of its innermost table with a line: `FILE:LINE`."""
        lines = _lines(self.text)
        line = next((lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), None)
        return f"{self.path}:{line}" if line else str(self.path)

    def problem(self, keys: tuple[str, ...], reason: str) -> str:
        """Return the line for an error: `FILE:LINE: pull.jobs: …`."""
        return clean(f"{self.where(*keys)}: {'.'.join(map(_bare, keys))}: {reason}")


class Value(NamedTuple):
    """A checked value, and where it is from."""

    value: Any
    file: ConfigFile
    keys: tuple[str, ...]

    @property
    def where(self) -> str:
        return self.file.where(*self.keys)


def read(path: Path) -> ConfigFile:
    """Read a file; raises OSError if there is none, and UsageError with one line for a file that is not TOML 1.0."""
    try:
        with files.open_regular(path) as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) <= _LARGEST:
            text = raw.decode("utf-8-sig")
            return ConfigFile(path, text, tomllib.loads(text))
        reason = f": is larger than {_LARGEST} bytes: not a configuration file"
    except (*_ABSENT, PermissionError):
        raise
    except OSError as error:
        reason = f": cannot be read: {(error.strerror or 'unknown error').lower()}"
    except UnicodeDecodeError:
        reason = ": is not UTF-8 text"
    except RecursionError:
        reason = ": is nested too deeply"
    except ValueError as error:
        match = _PLACE.fullmatch(str(error))
        reason = f":{match['line']}: is not TOML: {match['reason']}" if match else f": is not TOML: {error}"
    raise UsageError(clean(f"{path}{reason}"))


@lru_cache(maxsize=8)
def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of every key and table; tomllib does not report them, so each statement is parsed separately."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    statement, begin = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        begin = begin if statement else number
        statement += f"{line}\n"
        try:
            keys = [*_keys(tomllib.loads(statement))]
        except ValueError:  # the statement continues on the next line
            continue
        if statement.lstrip().startswith("["):
            table = max(keys, key=len)
            keys = [table[:end] for end in range(1, len(table) + 1)]
        else:
            keys = [(*table, *each) for each in keys]
        for each in keys:
            found.setdefault(each, begin)
        statement = ""
    return found


def _keys(data: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _keys(value, (*above, key))


def _bare(key: str) -> str:
    """Return a key as in a file, with quotes where necessary."""
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else f'"{key}"'


class Found(NamedTuple):
    """The files that were found; a later one wins over an earlier one."""

    files: tuple[ConfigFile, ...]
    absent: tuple[Path, ...]
    problems: tuple[str, ...]
    """One line for each file that cannot be read."""


def find(named: Sequence[Path] = ()) -> Found:
    """Read the given files, or else those of the system and the user, which may not exist.

    Given files replace the others, so that a job behaves the same on every host and for every user.
    """
    found, absent, problems = [], [], []
    for path in named or places.config_files():
        try:
            found.append(read(path))
        except _ABSENT:
            absent.append(path)
            if named:
                problems.append(f"{path}: file not found")
        except PermissionError:
            if named or path == places.SYSTEM_CONFIG:
                problems.append(f"{path}: cannot be read: permission denied")
            else:  # as with `sudo -u USER`, which may keep HOME
                absent.append(path)
                click.echo(f"puller: {path} is left out: permission denied. Is HOME that of another user?", err=True)
        except UsageError as error:
            problems.append(str(error))
    return Found(tuple(found), tuple(absent), tuple(problems))


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the most similar known word, or all of them where they are few."""
    words = sorted(known)
    if close := get_close_matches(word, words, 1):
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(words)}" if 0 < len(words) <= _FEW else ""
