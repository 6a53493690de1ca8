"""Configuration files: their tables, and the line of each key."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from puller.errors import UsageError
from puller.system import paths as places
from puller.text import clean

_LARGEST = 1 << 20
"""Bytes; a larger file is not a configuration."""
_FEW = 6
_PLACE = re.compile(r"(?P<reason>.*) \(at line (?P<line>\d+), column \d+\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The content of one file."""

    path: Path
    text: str = field(repr=False)
    data: Mapping[str, Any]

    def where(self, *keys: str) -> str:
        """Return the place of a key, or else of its innermost table with a line: `FILE:LINE`."""
        lines = _lines(self.text)
        line = next((lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), None)
        return f"{self.path}:{line}" if line else str(self.path)

    def problem(self, keys: tuple[str, ...], reason: str) -> str:
        """Return the line for an error: `FILE:LINE: pull.jobs: …`."""
        return clean(f"{self.where(*keys)}: {'.'.join(map(_bare, keys))}: {reason}")


@dataclass(frozen=True, slots=True)
class Value:
    """A checked value, and where it is from."""

    value: Any
    file: ConfigFile
    keys: tuple[str, ...]

    @property
    def where(self) -> str:
        """Its place: `FILE:LINE`."""
        return self.file.where(*self.keys)


def read(path: Path) -> ConfigFile:
    """Read a file; raises FileNotFoundError, and UsageError with one line for a file that is not TOML 1.0."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise _unusable(path, f"cannot be read: {(error.strerror or 'unknown error').lower()}") from None
    if len(raw) > _LARGEST:
        raise _unusable(path, f"is larger than {_LARGEST} bytes: not a configuration file")
    try:
        text = raw.decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError:
        raise _unusable(path, "is not UTF-8 text") from None
    except RecursionError:
        raise _unusable(path, "is nested too deeply") from None
    except ValueError as error:
        match = _PLACE.fullmatch(str(error))
        where, reason = (f"{path}:{match['line']}", match["reason"]) if match else (str(path), str(error))
        raise UsageError(clean(f"{where}: is not TOML: {reason}")) from None
    return ConfigFile(path, text, data)


def _unusable(path: Path, reason: str) -> UsageError:
    return UsageError(clean(f"{path}: {reason}"))


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


@dataclass(frozen=True, slots=True)
class Found:
    """The files that were found; a later one wins over an earlier one."""

    files: tuple[ConfigFile, ...]
    absent: tuple[Path, ...]
    problems: tuple[str, ...]
    """One line for each file that cannot be read."""


def find(named: Sequence[Path] = ()) -> Found:
    """Read the given files, or else those of the system and the user, which may not exist.

    Given files replace the others, so that a job behaves the same on every host and for every user.
    """
    files, absent, problems = [], [], []
    for path in named or places.config_files():
        try:
            files.append(read(path))
        except FileNotFoundError:
            absent.append(path)
            if named:
                problems.append(f"{path}: file not found")
        except UsageError as error:
            problems.append(str(error))
    return Found(tuple(files), tuple(absent), tuple(problems))


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the most similar known word, or all of them where they are few."""
    words = sorted(known)
    if close := get_close_matches(word, words, 1):
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(words)}" if 0 < len(words) <= _FEW else ""
