"""Inventories of Ansible in INI and YAML, without Ansible: hosts, groups, and the variables that say how to log in.

The format is that of Ansible's documentation, "How to build your inventory". The directories `group_vars` and
`host_vars`, and templates, are Ansible's alone.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod

from puller.fleet.candidates import LONGEST_LINE, MOST_HOSTS, Candidate, Item, Problem
from puller.fleet.url import DOCKER_SOCKET
from puller.imagelist.nodes import Node, load
from puller.text import shorten

_VARIABLES = {
    "ansible_host": "host", "ansible_ssh_host": "host", "ansible_user": "user", "ansible_ssh_user": "user",
    "ansible_port": "port", "ansible_ssh_port": "port", "ansible_connection": "connection",
}  # fmt: skip
_RANGE = re.compile(r"\[(\d{1,9}|[A-Za-z]):(\d{1,9}|[A-Za-z])(?::(\d{1,9}))?\]")
_SECTION = re.compile(r"\[([^\[\]:\s]+)(?::(\w+))?\]\s*(?:[#;].*)?")
_SHELL = re.compile(r"[\"'\\#]")
_ALL = "all"
_DEEPEST = 50
_LONGEST_WORD = 500
"""Characters of a host's name with its ranges, and of a variable that is used."""
_MOST_RANGES = 10
"""Ranges of one name."""
_MOST_STEPS = 500_000
"""Hosts and groups that are read, each once for each group that it is in.

Inventories of 10,000 hosts have fewer; ranges, aliases of YAML and groups in groups make a small file need hours.
"""
_SHOWN = 80
_UNGROUPED = {_ALL, "ungrouped"}


class _LimitError(Exception):
    """An inventory is larger than puller reads; its arguments are the place and the reason."""


class _Inventory:
    """The groups and hosts of one file, to be read out when all of it is known."""

    def __init__(self) -> None:
        self.hosts: dict[str, str] = {}
        """The place of each host."""
        self.members: dict[str, dict[str, None]] = {}
        """The hosts of each group."""
        self.parents: dict[str, dict[str, None]] = {}
        """The groups that each group is in."""
        self.variables: dict[str, dict[str, str]] = {}
        """By the name of a group."""
        self.own: dict[str, dict[str, str]] = {}
        """By the name of a host."""
        self._steps = 0

    def count(self, steps: int, where: str) -> None:
        """Count work before it is done; raises _LimitError if all of it is too much."""
        self._steps += steps
        if self._steps > _MOST_STEPS:
            words = f"more than {_MOST_STEPS} hosts, each counted once for each group that it is in"
            raise _LimitError(where, f"{words}: name ranges and groups fewer times")

    def add(self, pattern: str, group: str, where: str, variables: Mapping[str, str]) -> Problem | None:
        """Add the hosts of a pattern such as `web[01:20]` to a group; raises _LimitError."""
        try:
            names = expand(pattern)
        except ValueError as error:
            self.count(1, where)
            return Problem(where, str(error))
        self.count(len(names), where)
        for name in names:
            self.hosts.setdefault(name, where)
            self.members.setdefault(group, {})[name] = None
            self.own.setdefault(name, {}).update(variables)
            if len(self.hosts) > MOST_HOSTS:
                raise _LimitError(where, f"more than {MOST_HOSTS} hosts")
        return None

    def candidates(self, file: str) -> Iterator[Item]:
        """Yield the hosts with their groups, and a problem for each that cannot be used; raises _LimitError."""
        self._steps = 0  # the groups of the file are read; now those above them are
        levels = {group: self._above(group, file) for group in self.members}
        self.count(sum(len(names) * len(levels[group]) for group, names in self.members.items()), file)
        of_host: dict[str, list[str]] = {}
        for group, names in self.members.items():
            for name in names:
                of_host.setdefault(name, []).append(group)
        for name, where in self.hosts.items():
            groups: dict[str, int] = {_ALL: _DEEPEST + 1}
            for group in of_host[name]:
                for each, distance in levels[group].items():
                    groups[each] = min(distance, groups.get(each, _DEEPEST))
            # As in Ansible, a variable of a group wins over one of a group above it, and the host's own over both.
            variables: dict[str, str] = {}
            for group in sorted(groups, key=lambda each: (-groups[each], each)):
                variables |= self.variables.get(group, {})
            variables |= self.own[name]
            shown = sorted(groups.keys() - _UNGROUPED, key=lambda each: (groups[each], each))
            yield _candidate(name, where, variables, tuple(shown))

    def _above(self, group: str, file: str) -> dict[str, int]:
        """Return a group and those that it is in, with their distance; a group that is in itself ends there."""
        found, level, distance = {group: 0}, [group], 0
        while level and distance < _DEEPEST:
            distance += 1
            self.count(sum(len(self.parents.get(each, ())) for each in level), file)
            above = {each for below in level for each in self.parents.get(below, ())}
            level = [*above - found.keys()]
            found |= dict.fromkeys(level, distance)
        return found


def parse_ini(text: str, name: str) -> Iterator[Item]:
    """Return the hosts of an inventory in INI: sections `[GROUP]`, `[GROUP:children]` and `[GROUP:vars]`."""
    return _within_limits(_ini_items(text, name))


def parse_yaml(text: str, name: str) -> Iterator[Item]:
    """Return the hosts of an inventory in YAML: groups with `hosts`, `children` and `vars`."""
    return _within_limits(_yaml_items(text, name))


def _within_limits(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items of an inventory, and a problem where it is larger than puller reads; the rest is not read."""
    try:
        yield from items
    except _LimitError as error:
        yield Problem(*error.args)


def _ini_items(text: str, name: str) -> Iterator[Item]:
    found = _Inventory()
    group, kind = "ungrouped", ""
    for number, line in enumerate(text.splitlines(), 1):
        where, stripped = f"{name}:{number}", line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if len(stripped) > LONGEST_LINE and kind != "vars":
            yield Problem(where, f"longer than {LONGEST_LINE} characters")
            continue
        if section := _SECTION.fullmatch(stripped):
            group, kind = section[1], section[2] or ""
            if kind not in ("", "children", "vars"):
                yield Problem(where, f"unknown section [{group}:{kind}]: only :children and :vars are known")
            continue
        if problem := _read_line(found, stripped, group, kind, where):
            yield problem
    yield from found.candidates(name)


def _yaml_items(text: str, name: str) -> Iterator[Item]:
    parsed = load(text.encode(), name)
    if parsed.problem:
        yield Problem(str(parsed.problem.source), parsed.problem.reason)
        return
    found = _Inventory()
    for document in parsed.documents:
        if document and not isinstance(document.value, dict):
            yield Problem(str(document.source), "not an inventory: groups with hosts:, children: and vars: are wanted")
        for group, node in document.fields.items():
            yield from _read_group(found, group, node, 0)
    yield from found.candidates(name)


def expand(pattern: str) -> list[str]:
    """Return the names of a pattern: `web[01:03]` is web01, web02 and web03; `[a:c]` and a step `[1:9:2]` work too.

    Raises ValueError for a range that is not one, for a pattern that is too long, and for too many ranges and names.
    """
    if len(pattern) > _LONGEST_WORD:
        raise ValueError(f"{shorten(pattern, _SHOWN)!r} is longer than {_LONGEST_WORD} characters")
    parts = _RANGE.split(pattern)
    texts, choices = parts[::4], [_range(*parts[at : at + 3]) for at in range(1, len(parts), 4)]
    if "[" in "".join(texts) and not re.fullmatch(r"\[[0-9A-Fa-f:.]+\](?::\d+)?", pattern):
        raise ValueError(f"{shorten(pattern, _SHOWN)!r} has a range that is not like web[01:20]")
    if len(choices) > _MOST_RANGES:
        raise ValueError(f"{shorten(pattern, _SHOWN)!r} has more than {_MOST_RANGES} ranges")
    if prod(len(numbers) for numbers, _ in choices) > MOST_HOSTS:
        raise ValueError(f"{shorten(pattern, _SHOWN)!r} stands for more than {MOST_HOSTS} hosts")
    rows = product(*([write(each) for each in numbers] for numbers, write in choices))
    return ["".join(word for pair in zip(texts, (*row, ""), strict=True) for word in pair) for row in rows]


def _range(first: str, last: str, step: str | None) -> tuple[Sequence[int], Callable[[int], str]]:
    """Return the numbers of a range, and what makes a text of one: they are counted before there are texts."""
    every = int(step or 1)
    if first.isdecimal() != last.isdecimal() or every < 1:
        raise ValueError(f"[{first}:{last}] is not a range")
    if not first.isdecimal():
        letters = [each for each in range(ord(first), ord(last) + 1, every) if chr(each).isalpha()]
        return _filled(letters, first, last), chr
    width = len(first) if first.startswith("0") else 0
    return _filled(range(int(first), int(last) + 1, every), first, last), lambda each: f"{each:0{width}}"


def _filled(numbers: Sequence[int], first: str, last: str) -> Sequence[int]:
    if not numbers:
        raise ValueError(f"[{first}:{last}] is empty: the first is after the last")
    return numbers


def _read_line(found: _Inventory, line: str, group: str, kind: str, where: str) -> Problem | None:
    if kind == "vars":
        key, separator, value = line.partition("=")
        if key.strip() in _VARIABLES:
            found.variables.setdefault(group, {})[_VARIABLES[key.strip()]] = value.strip().strip("\"'")
        return None if separator else Problem(where, "a variable without a value: write NAME=VALUE")
    try:
        # shlex takes 20 µs for a short line, and files of 4 MiB have 400,000.
        words = shlex.split(line, comments=True) if _SHELL.search(line) else line.split()
    except ValueError:
        return Problem(where, "a quote without its end")
    if kind == "children":
        found.parents.setdefault(words[0], {})[group] = None
    elif not kind:
        pairs = [word.partition("=") for word in words[1:]]
        if bad := [key for key, separator, _ in pairs if not separator]:
            return Problem(where, f"{shorten(bad[0], _SHOWN)!r} after the host: only variables NAME=VALUE may follow")
        return found.add(words[0], group, where, _known((key, value) for key, _, value in pairs))
    return None  # what is in an unknown section is not read: the section is a problem already


def _read_group(found: _Inventory, group: str, node: Node, depth: int) -> Iterator[Problem]:
    if depth > _DEEPEST:
        yield Problem(str(node.source), f"groups nested deeper than {_DEEPEST} levels")
        return
    if node and not isinstance(node.value, dict):
        yield Problem(
            str(node.source), f"the group {shorten(group, _SHOWN)} is not a mapping with hosts: and children:"
        )
        return
    hosts, children, variables = node.get("hosts"), node.get("children"), node.get("vars")
    found.count(1, str(node.source))  # with aliases, one group may be in many places
    found.variables.setdefault(group, {}).update(_known_of(variables))
    for part, key in ((hosts, "hosts"), (children, "children")):
        if part and not isinstance(part.value, dict):
            yield Problem(str(part.source), f"{key}: must be a mapping, with a colon after each name")
    for name, own in hosts.fields.items():
        if problem := found.add(name, group, str(own.source), _known_of(own)):
            yield problem
    for child, below in children.fields.items():
        found.parents.setdefault(child, {})[group] = None
        yield from _read_group(found, child, below, depth + 1)


def _known_of(node: Node) -> dict[str, str]:
    fields = node.fields  # perhaps many, and those of an alias are the same for each host
    return _known((key, fields[key].text) for key in _VARIABLES if key in fields)


def _known(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    return {_VARIABLES[key]: value for key, value in pairs if key in _VARIABLES and value}


def _candidate(name: str, where: str, variables: Mapping[str, str], groups: tuple[str, ...]) -> Item:
    if any(len(value) > _LONGEST_WORD for value in variables.values()):
        return Problem(where, f"{name}: a variable is longer than {_LONGEST_WORD} characters")
    if template := next((value for value in variables.values() if "{{" in value), None):
        words = f"{name}: {shorten(template, _SHOWN)!r} is a template of Ansible"
        return Problem(where, f"{words}: write the inventory out (ansible-inventory --list --yaml --export)")
    if variables.get("connection") == "local":
        return Candidate(where, f"unix://{DOCKER_SOCKET}", name, None, groups)
    host, port = _split_port(variables.get("host", name), variables.get("port"))
    host = f"[{host.strip('[]')}]" if ":" in host else host
    user = f"{variables['user']}@" if "user" in variables else ""
    return Candidate(where, f"ssh://{user}{host}{f':{port}' if port else ''}", name, None, groups)


def _split_port(host: str, port: str | None) -> tuple[str, str | None]:
    """Take the port off a name such as `web1:2222`, which INI inventories may have."""
    match = re.fullmatch(r"([^\[\]:]+|\[[^\]]+\]):(\d+)", host)
    return (match[1], port or match[2]) if match else (host, port)
