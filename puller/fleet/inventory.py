"""Inventories of Ansible in INI and YAML, without Ansible: hosts, groups, and the variables that say how to log in.

The format is that of Ansible's documentation, "How to build your inventory". The directories `group_vars` and
`host_vars`, and templates, are Ansible's alone.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from puller.fleet.candidates import MOST_HOSTS, Candidate, Item, Problem
from puller.imagelist.nodes import Node, load
from puller.text import shorten

_VARIABLES = {
    "ansible_host": "host", "ansible_ssh_host": "host", "ansible_user": "user", "ansible_ssh_user": "user",
    "ansible_port": "port", "ansible_ssh_port": "port", "ansible_connection": "connection",
}  # fmt: skip
_RANGE = re.compile(r"\[(\d{1,9}|[A-Za-z]):(\d{1,9}|[A-Za-z])(?::(\d{1,9}))?\]")
_SECTION = re.compile(r"\[([^\[\]:\s]+)(?::(\w+))?\]\s*(?:[#;].*)?")
_ALL = "all"
_DEEPEST = 50
_SHOWN = 80
_UNGROUPED = {_ALL, "ungrouped"}


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

    def add(self, pattern: str, group: str, where: str, variables: Mapping[str, str]) -> Problem | None:
        """Add the hosts of a pattern such as `web[01:20]` to a group."""
        try:
            names = expand(pattern)
        except ValueError as error:
            return Problem(where, str(error))
        for name in names:
            self.hosts.setdefault(name, where)
            self.members.setdefault(group, {})[name] = None
            self.own.setdefault(name, {}).update(variables)
            if len(self.hosts) > MOST_HOSTS:
                return Problem(where, f"more than {MOST_HOSTS} hosts")
        return None

    def candidates(self) -> Iterator[Item]:
        """Yield the hosts with their groups, and a problem for each that cannot be used."""
        levels = {group: self._above(group) for group in {*self.members, *self.parents}}
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

    def _above(self, group: str) -> dict[str, int]:
        """Return a group and those that it is in, with their distance; a group that is in itself ends there."""
        found, level, distance = {group: 0}, [group], 0
        while level and distance < _DEEPEST:
            distance += 1
            level = [above for each in level for above in self.parents.get(each, ()) if above not in found]
            found |= dict.fromkeys(level, distance)
        return found


def parse_ini(text: str, name: str) -> Iterator[Item]:
    """Yield the hosts of an inventory in INI: sections `[GROUP]`, `[GROUP:children]` and `[GROUP:vars]`."""
    found = _Inventory()
    group, kind = "ungrouped", ""
    for number, line in enumerate(text.splitlines(), 1):
        where, stripped = f"{name}:{number}", line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if section := _SECTION.fullmatch(stripped):
            group, kind = section[1], section[2] or ""
            if kind not in ("", "children", "vars"):
                yield Problem(where, f"unknown section [{group}:{kind}]: only :children and :vars are known")
            continue
        if problem := _read_line(found, stripped, group, kind, where):
            yield problem
    yield from found.candidates()


def parse_yaml(text: str, name: str) -> Iterator[Item]:
    """Yield the hosts of an inventory in YAML: groups with `hosts`, `children` and `vars`."""
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
    yield from found.candidates()


def expand(pattern: str) -> list[str]:
    """Return the names of a pattern: `web[01:03]` is web01, web02 and web03; `[a:c]` and a step `[1:9:2]` work too.

    Raises ValueError for a range that is not one, and for too many names.
    """
    parts = _RANGE.split(pattern)
    texts, choices = parts[::4], [_range(*parts[at : at + 3]) for at in range(1, len(parts), 4)]
    if "[" in "".join(texts) and not re.fullmatch(r"\[[0-9A-Fa-f:.]+\](?::\d+)?", pattern):
        raise ValueError(f"{shorten(pattern, _SHOWN)!r} has a range that is not like web[01:20]")
    number = 1
    for choice in choices:
        number *= len(choice)
    if number > MOST_HOSTS:
        raise ValueError(f"{shorten(pattern, _SHOWN)!r} stands for more than {MOST_HOSTS} hosts")
    rows = product(*choices)
    return ["".join(word for pair in zip(texts, (*row, ""), strict=True) for word in pair) for row in rows]


def _range(first: str, last: str, step: str | None) -> list[str]:
    every = int(step or 1)
    if first.isdecimal() != last.isdecimal() or every < 1:
        raise ValueError(f"[{first}:{last}] is not a range")
    if not first.isdecimal():
        numbers = range(ord(first), ord(last) + 1, every)
        return [chr(each) for each in numbers if chr(each).isalpha()] or _empty(first, last)
    width = len(first) if first.startswith("0") else 0
    numbers = range(int(first), int(last) + 1, every)
    if len(numbers) > MOST_HOSTS:
        raise ValueError(f"[{first}:{last}] stands for more than {MOST_HOSTS} hosts")
    return [f"{each:0{width}}" for each in numbers] or _empty(first, last)


def _empty(first: str, last: str) -> list[str]:
    raise ValueError(f"[{first}:{last}] is empty: the first is after the last")


def _read_line(found: _Inventory, line: str, group: str, kind: str, where: str) -> Problem | None:
    if kind == "vars":
        key, separator, value = line.partition("=")
        if key.strip() in _VARIABLES:
            found.variables.setdefault(group, {})[_VARIABLES[key.strip()]] = value.strip().strip("\"'")
        return None if separator else Problem(where, "a variable without a value: write NAME=VALUE")
    try:
        words = shlex.split(line, comments=True)
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
    found.variables.setdefault(group, {}).update(_known_of(node.get("vars")))
    hosts, children = node.get("hosts"), node.get("children")
    for part, key in ((hosts, "hosts"), (children, "children")):
        if part and not isinstance(part.value, dict):
            yield Problem(str(part.source), f"{key}: must be a mapping, with a colon after each name")
    for name, variables in hosts.fields.items():
        if problem := found.add(name, group, str(variables.source), _known_of(variables)):
            yield problem
    for child, below in children.fields.items():
        found.parents.setdefault(child, {})[group] = None
        yield from _read_group(found, child, below, depth + 1)


def _known_of(node: Node) -> dict[str, str]:
    return _known((key, value.text) for key, value in node.fields.items() if value.text is not None)


def _known(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    return {_VARIABLES[key]: value for key, value in pairs if key in _VARIABLES and value}


def _candidate(name: str, where: str, variables: Mapping[str, str], groups: tuple[str, ...]) -> Item:
    if template := next((value for value in variables.values() if "{{" in value), None):
        words = f"{name}: {shorten(template, _SHOWN)!r} is a template of Ansible"
        return Problem(where, f"{words}: write the inventory out (ansible-inventory --list --yaml --export)")
    if variables.get("connection") == "local":
        return Candidate(where, "unix:///var/run/docker.sock", name, None, groups)
    host, port = _split_port(variables.get("host", name), variables.get("port"))
    host = f"[{host.strip('[]')}]" if ":" in host else host
    user = f"{variables['user']}@" if "user" in variables else ""
    return Candidate(where, f"ssh://{user}{host}{f':{port}' if port else ''}", name, None, groups)


def _split_port(host: str, port: str | None) -> tuple[str, str | None]:
    """Take the port off a name such as `web1:2222`, which INI inventories may have."""
    match = re.fullmatch(r"([^\[\]:]+|\[[^\]]+\]):(\d+)", host)
    return (match[1], port or match[2]) if match else (host, port)
