"""The tables of registries in configuration files: `[registry."docker.io"]`."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from puller.cli.toml_file import ConfigFile, Value, suggest
from puller.image.reference import mirror_place, registry_name
from puller.settings import MirrorUse, RegistrySettings

TABLE = "registry"
HUB = "docker.io"
_MOST = 1000
"""Concurrent pulls from one registry."""

Registries = dict[str, dict[str, Value]]
"""The settings of each registry, by the names of the fields of RegistrySettings."""


def registries_in(files: Iterable[ConfigFile]) -> tuple[Registries, list[str]]:
    """Return the tables of all files, merged key by key with later files winning, and one line for each error."""
    found: Registries = {}
    problems: list[str] = []
    for file in files:
        tables = file.data.get(TABLE, {})
        if not isinstance(tables, dict):
            problems.append(file.problem((TABLE,), 'must be a table for each registry, such as [registry."docker.io"]'))
            continue
        spelt: dict[str, str] = {}
        for typed, table in tables.items():
            try:
                name = _named(typed, table, spelt)
            except ValueError as error:
                problems.append(file.problem((TABLE, typed), str(error)))
                continue
            spelt[name] = typed
            _read_table(file, typed, found.setdefault(name, {}), problems)
            insecure = found[name].get("insecure")
            if name == HUB and insecure and insecure.value:
                problems.append(file.problem(insecure.keys, "not allowed for Docker Hub: it is always asked with TLS"))
    return found, problems


def settings(found: Registries) -> dict[str, RegistrySettings]:
    """Return the settings of each registry."""
    return {
        name: RegistrySettings(**{field: value.value for field, value in table.items()})
        for name, table in found.items()
    }


def _named(typed: str, table: Any, before: Mapping[str, str]) -> str:
    if not isinstance(table, dict):
        raise ValueError('must be a table: write [registry."docker.io"], with its keys below')  # noqa: TRY004 - the text of an error line
    try:
        name = registry_name(typed.lower())
    except ValueError:
        if table and all(isinstance(value, dict) for value in table.values()):
            dotted = f"{typed}.{next(iter(table))}"
            raise ValueError(f'a name with dots needs quotes: [{TABLE}."{dotted}"]') from None
        raise
    if name in before:
        raise ValueError(f"is the same registry as {before[name]!r}")
    return name


def _read_table(file: ConfigFile, typed: str, into: dict[str, Value], problems: list[str]) -> None:
    for key, value in file.data[TABLE][typed].items():
        keys, name = (TABLE, typed, key), key.replace("_", "-")
        if name not in _CHECKS:
            problems.append(file.problem(keys, f"unknown key{suggest(name, _CHECKS)}"))
            continue
        field = name.replace("-", "_")
        if field in into and into[field].file is file:
            problems.append(file.problem(keys, "is the same key as one with the other kind of dash"))
            continue
        try:
            into[field] = Value(_CHECKS[name](value, file.path), file, keys)
        except ValueError as error:
            problems.append(file.problem(keys, str(error)))


def _concurrency(value: Any, _file: Path) -> int:
    if type(value) is not int or not 1 <= value <= _MOST:
        raise ValueError(f"must be an integer from 1 to {_MOST}")
    return value


def _mirrors(value: Any, _file: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError('must be a list of text, such as ["mirror.example:5000/prefix"]')
    return tuple(map(mirror_place, value))


def _mirror_use(value: Any, _file: Path) -> MirrorUse:
    if value not in [*MirrorUse]:
        raise ValueError(f"must be one of {', '.join(map(repr, map(str, MirrorUse)))}")
    return MirrorUse(value)


def _insecure(value: Any, _file: Path) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - likewise
    return value


def _ca(value: Any, file: Path) -> str:
    if not isinstance(value, str):
        raise ValueError("must be the path of a file, as text")  # noqa: TRY004 - likewise
    path = file.absolute().parent / Path(value).expanduser()
    if not path.is_file():
        raise ValueError(f"file {path} not found")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} cannot be read: permission denied")
    return str(path)


_CHECKS: Mapping[str, Callable[[Any, Path], Any]] = {
    "concurrency": _concurrency,
    "mirrors": _mirrors,
    "mirror-use": _mirror_use,
    "insecure": _insecure,
    "ca": _ca,
}
