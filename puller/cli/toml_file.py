"""One file: its tables, and the line on which each key stands."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from puller.errors import UsageError
from puller.system import paths as places
from puller.text import clean

_LARGEST = 1 << 20
"""Bytes: whatever is larger is not a configuration."""
_PLACE = re.compile(r"(?P<reason>.*) \(at line (?P<line>\d+), column \d+\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What one file says."""

    path: Path
    text: str = field(repr=False)
    data: Mapping[str, Any]

    def where(self, *keys: str) -> str:
        """Say where a key is, or the innermost table of it that has a line: `FILE:LINE`."""
        lines = _lines(self.text)
        line = next((lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), None)
        return f"{self.path}:{line}" if line else str(self.path)

    def problem(self, keys: tuple[str, ...], reason: str) -> str:
        """Make the line for something that cannot be meant: `FILE:LINE: pull.jobs: …`."""
        return clean(f"{self.where(*keys)}: {'.'.join(map(_bare, keys))}: {reason}")


@dataclass(frozen=True, slots=True)
class Value:
    """A value that was looked at, and where it is from."""

    value: Any
    file: ConfigFile
    keys: tuple[str, ...]

    @property
    def where(self) -> str:
        """Where it is written: `FILE:LINE`."""
        return self.file.where(*self.keys)


def read(path: Path) -> ConfigFile:
    """Read a file; raises FileNotFoundError, and UsageError with one line for what is no TOML (1.0)."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise _unusable(path, f"cannot be read: {(error.strerror or 'unknown error').lower()}") from None
    if len(raw) > _LARGEST:
        raise _unusable(path, f"is larger than {_LARGEST} bytes: is that the right file?")
    try:
        text = raw.decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError:
        raise _unusable(path, "is not text in UTF-8") from None
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
    """Find the line of every key and table; tomllib does not tell, so each statement is parsed by itself."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    statement, begin = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        begin = begin if statement else number
        statement += f"{line}\n"
        try:
            keys = [*_keys(tomllib.loads(statement))]
        except ValueError:  # it goes on in the next line
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
    """Write a key as a file does: in quotes where it needs them."""
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else f'"{key}"'


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the files that were looked for; a later one wins over an earlier one."""

    files: tuple[ConfigFile, ...]
    absent: tuple[Path, ...]
    problems: tuple[str, ...]
    """One line for each file that cannot be read."""


def find(named: Sequence[Path] = ()) -> Found:
    """Read the files that were named, or else those of the system and of the user, which need not be there.

    Named files stand alone, so that a job behaves the same on every host and under every account.
    """
    files, absent, problems = [], [], []
    for path in named or places.config_files():
        try:
            files.append(read(path))
        except FileNotFoundError:
            absent.append(path)
            if named:
                problems.append(f"{path}: there is no such file")
        except UsageError as error:
            problems.append(str(error))
    return Found(tuple(files), tuple(absent), tuple(problems))
