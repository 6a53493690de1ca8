"""The formats of files with hosts: text and TOML of puller, INI and YAML inventories of Ansible."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from puller.fleet.candidates import LONGEST_LINE, Candidate, Item, Problem
from puller.fleet.inventory import parse_ini, parse_yaml
from puller.system.files import open_regular
from puller.text import shorten

_LARGEST = 4 << 20
"""Bytes of a file."""
_SHOWN = 80
_WORDS = ("name", "jobs", "groups")
_TABLE = re.compile(r"\s*\[\[\s*host\s*\]\]\s*(?:#.*)?")
_LONG_KEY = re.compile(
    r"""(?:^|[\[{,])[ \t]*(?:(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*\.[ \t]*){9}""", re.MULTILINE
)
"""Ten words with dots: tomllib needs time for the square of their number."""
_PLACE = re.compile(r"(?P<reason>.*) \(at line (?P<line>\d+), column \d+\)", re.DOTALL)
_KEYS = {"url", "name", "jobs", "groups"}
_YAML = (".yml", ".yaml", ".json")


def read_file(path: str) -> Iterator[Item]:
    """Yield the hosts of a file in puller's own notations."""
    text = _read_bounded(path)
    if isinstance(text, Problem):
        yield text
    elif path.endswith(".toml"):
        yield from parse_toml(text, path)
    else:
        yield from parse_text(text, "stdin" if path == "-" else path)


def read_inventory(path: str) -> Iterator[Item]:
    """Yield the hosts of an inventory of Ansible."""
    text = _read_bounded(path)
    if isinstance(text, Problem):
        yield text
    elif text.startswith("#!"):
        yield Problem(path, "a program: write what it says to a file (ansible-inventory --list --yaml > hosts.yml)")
    elif path.endswith(_YAML) or text.lstrip().startswith(("---", "all:")):
        yield from parse_yaml(text, path)
    else:
        yield from parse_ini(text, path)


def parse_text(text: str, name: str) -> Iterator[Item]:
    """Yield the hosts of a text file: a URL or a name a line, and after it perhaps `name=…`, `jobs=…`, `groups=A,B`."""
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}:{number}"
        words = re.split(r"(?:^|\s)#", line[:LONGEST_LINE], maxsplit=1)[0].split()
        if len(line) > LONGEST_LINE:
            yield Problem(where, f"longer than {LONGEST_LINE} characters")
        elif words:
            yield read_words(words, where)


def parse_toml(text: str, name: str) -> Iterator[Item]:
    """Yield the hosts of a TOML file: a table `[[host]]` each, with `url` and perhaps `name`, `jobs` and `groups`."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE or _LONG_KEY.search(line):
            reason = (
                "a key with too many dots" if len(line) <= LONGEST_LINE else f"longer than {LONGEST_LINE} characters"
            )
            yield Problem(f"{name}:{number}", reason)
            return
    try:
        data = tomllib.loads(text)
    except RecursionError:
        yield Problem(name, "nested too deeply")
        return
    except ValueError as error:
        match = _PLACE.fullmatch(str(error))
        yield Problem(*((f"{name}:{match['line']}", f"not TOML: {match['reason']}") if match else (name, str(error))))
        return
    tables = data.get("host", [])
    for key in data.keys() - {"host"}:
        yield Problem(name, f"unknown key {key!r}: write a table [[host]] for each host")
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        yield Problem(name, "write [[host]] with two brackets, once for each host")
        return
    lines = [number for number, line in enumerate(text.splitlines(), 1) if _TABLE.fullmatch(line)]
    exact = len(lines) == len(tables)
    for index, table in enumerate(tables):
        yield _host(table, f"{name}:{lines[index]}" if exact else f"{name}, host {index + 1}")


def _host(table: Mapping[str, Any], where: str) -> Item:
    if unknown := sorted(table.keys() - _KEYS):
        return Problem(where, f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    url, name, jobs, groups = (table.get(key) for key in ("url", "name", "jobs", "groups"))
    if not isinstance(url, str):
        return Problem(where, 'no url: write url = "ssh://HOST"')
    if not isinstance(name, str | None):
        return Problem(where, "name must be text in quotes")
    if jobs is not None and (not isinstance(jobs, int) or isinstance(jobs, bool)):
        return Problem(where, "jobs must be a number")
    if groups is not None and not (isinstance(groups, list) and all(isinstance(each, str) for each in groups)):
        return Problem(where, 'groups must be a list, such as ["build"]')
    return Candidate(where, url, name, jobs, tuple(groups or ()))


def _read_bounded(path: str) -> str | Problem:
    """Return the text of a file, or why it cannot be read."""
    try:
        with open_regular("/dev/stdin" if path == "-" else path) as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        words = getattr(error, "strerror", None) or str(error)
        return Problem(path, f"cannot be read: {words}")
    if len(data) > _LARGEST:
        return Problem(path, f"larger than {_LARGEST >> 20} MiB: not a list of hosts")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Problem(f"{path}:{line}", "not valid UTF-8")


def read_words(words: Sequence[str], where: str) -> Item:
    """Read a URL or a name, and after it perhaps `name=…`, `jobs=…` and `groups=A,B`."""
    given: dict[str, str] = {}
    for word in words[1:]:
        key, separator, value = word.partition("=")
        if not separator or key not in _WORDS:
            known = ", ".join(f"{each}=…" for each in _WORDS)
            return Problem(where, f"{shorten(word, _SHOWN)!r} after the host: only {known} may follow")
        if key in given:
            return Problem(where, f"{key}= is there twice: remove one")
        given[key] = value
    groups = tuple(filter(None, given.get("groups", "").split(",")))
    return Candidate(where, words[0], given.get("name"), given.get("jobs"), groups)
