"""YAML and JSON files as values with line numbers.

libyaml reads both formats; a JSON file is first checked by Python's parser. The values are built from libyaml's events
and not by `yaml.compose`, which rejects an anchor that is defined twice (YAML allows it), does not record the line of
an alias, and does not limit the number of values. No object is constructed from a tag.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from puller.imagelist.entry import BadLine, Source

LITERAL = "!literal"
"""The tag of numbers, and of true and false in JSON: programs may write their text in another way."""
_MOST_LEVELS = 100
"""Levels of nesting; the parsers recurse, and real files have a dozen levels."""
_TOO_DEEP = f"nested deeper than {_MOST_LEVELS} levels"
_MOST_VALUES = 1_000_000
"""Values of one file, with those that merge keys copy, so that aliases cannot make a small file huge."""
_NULLS = {"", "~", "null", "Null", "NULL"}
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?")
_MERGE = "<<"
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# `${{ }}` is an expression of GitHub Actions, which is valid.
_TEMPLATE = re.compile(r"[^#]*?(?<!\$)(\{\{|\{%)")
UNRENDERED = "an unrendered template: render it first (helm template, kustomize build, …)"
# Characters that JSON allows in a string and YAML does not: control characters, line separators, lone surrogates.
_JSON_ONLY = re.compile(
    r"\\u(d[89ab]..)\\u(d[c-f]..)|\\u(d[89a-f]..)|\\.|[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One value of a document. Scalars are the text of the file: `3.10` stays `3.10`, `on` stays `on`."""

    value: "str | list[Node] | dict[str, Node] | None"
    """None for null."""
    name: str
    """The name of the file in messages."""
    line: int
    """The line of the value; in a mapping that of its key."""
    tag: str = ""
    """The explicit tag, such as `!reference`."""

    @property
    def source(self) -> Source:
        return Source(self.name, self.line)

    @property
    def text(self) -> str | None:
        """The text of a scalar; None for other values."""
        return self.value if isinstance(self.value, str) else None

    @property
    def items(self) -> "Sequence[Node]":
        """The elements of a sequence; empty for other values."""
        return self.value if isinstance(self.value, list) else ()

    @property
    def fields(self) -> "Mapping[str, Node]":
        """The fields of a mapping; empty for other values."""
        return self.value if isinstance(self.value, dict) else {}

    def get(self, *path: str) -> "Node | None":
        """Return the value at a path of keys; None where it is missing or null."""
        node: Node | None = self
        for key in path:
            node = node.fields.get(key) if node else None
        return node if node and node.value is not None else None

    def at(self, line: int) -> "Node":
        """Return the same value with another line: that of its key or alias."""
        return self if line == self.line else Node(self.value, self.name, line, self.tag)


@dataclass(frozen=True, slots=True)
class RepeatedKey:
    """A duplicate key of a mapping; the last one is used."""

    key: str
    source: Source
    first: int
    """The line of the first one."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The documents of one file."""

    documents: tuple[Node, ...] = ()
    repeated: tuple[RepeatedKey, ...] = ()
    problem: BadLine | None = None
    """The error that ended the reading before the end of the file."""


def load(data: bytes, name: str) -> Parsed:
    """Read all documents of a YAML or JSON file; `name` is the file's name in messages."""
    try:
        text = data.decode().removeprefix("\ufeff").replace("\n\ufeff", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Parsed(problem=BadLine(Source(name, line), "", "not valid UTF-8"))
    if text.lstrip()[:1] not in ("{", "["):
        return _parse(text, name)
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        if not name.lower().endswith(".json"):
            return _parse(text, name)
        return Parsed(problem=BadLine(Source(name, error.lineno), "", f"not valid JSON: {error.msg}"))
    except RecursionError:
        return Parsed(problem=BadLine(Source(name, 1), "", _TOO_DEEP))
    # YAML rejects tabs before the first value and after the last one.
    body = text.lstrip()
    above = "\n" * text.count("\n", 0, len(text) - len(body))
    return _parse(above + _JSON_ONLY.sub(_as_yaml, body.rstrip()), name, is_json=True)


def _as_yaml(match: re.Match[str]) -> str:
    """Convert an escape sequence or a character of a JSON string to YAML."""
    high, low, lone = match.groups()
    if high:
        return f"\\U{0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00:08x}"
    if lone:
        return "\\ufffd"
    return match[0] if match[0][0] == "\\" else f"\\u{ord(match[0]):04x}"


def _parse(text: str, name: str, *, is_json: bool = False) -> Parsed:
    documents: list[Node] = []
    repeated: list[RepeatedKey] = []
    problem = None
    try:
        for document in _Composer(text, name, repeated, is_json=is_json).documents():
            documents.append(document)  # noqa: PERF402 - documents before an error are kept
    except _ProblemError as error:
        problem = _complaint(text, name, error.line, str(error))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "it cannot be read"
        # libyaml has its own limit, and reaches it before the first event.
        reason = _TOO_DEEP if "nesting depth" in reason else f"not valid YAML: {reason}"
        problem = _complaint(text, name, mark.line + 1 if mark else 1, reason)
    except yaml.YAMLError:
        found = _UNPRINTABLE.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        problem = _complaint(text, name, line, "not valid YAML: a control character")
    return Parsed(tuple(documents), tuple(repeated), problem)


class _ProblemError(Exception):
    """An error in a file that is valid for the YAML parser."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class _Composer:
    """Builds nodes from the parser's events; aliases share one value, merge keys are resolved.

    https://yaml.org/type/merge.html
    """

    def __init__(self, text: str, name: str, repeated: list[RepeatedKey], *, is_json: bool) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self._name = name
        self._repeated = repeated
        self._is_json = is_json
        self._anchors: dict[str, Node | None] = {}
        """None while the value of the anchor is being read."""
        self._count = 0

    def documents(self) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                yield self._node(next(self._events), 0)

    def _node(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        self._grow(1, line)
        if depth > _MOST_LEVELS:
            raise _ProblemError(line, _TOO_DEEP)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor or "", line)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, line)
        else:
            if event.anchor:
                self._anchors[event.anchor] = None
            is_sequence = isinstance(event, yaml.SequenceStartEvent)
            value = self._sequence(depth + 1) if is_sequence else self._mapping(depth + 1)
            node = Node(value, self._name, line, event.tag or "")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, anchor: str, line: int) -> Node:
        if anchor not in self._anchors:
            raise _ProblemError(line, f"the alias *{anchor} has no anchor before it")
        node = self._anchors[anchor]
        if node is None:
            raise _ProblemError(line, f"the alias *{anchor} is inside the value that it names")
        return node.at(line)

    def _scalar(self, event: Any, line: int) -> Node:
        if event.style or event.tag:
            return Node(event.value, self._name, line, event.tag or "")
        if event.value in _NULLS:
            return Node(None, self._name, line)
        return Node(event.value, self._name, line, LITERAL if self._is_json or _NUMBER.fullmatch(event.value) else "")

    def _sequence(self, depth: int) -> list[Node]:
        members = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            members.append(self._node(event, depth))
        return members

    def _mapping(self, depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth)
            if isinstance(key.value, (list, dict)):
                raise _ProblemError(key.line, "a key must be plain text")
            value = self._node(next(self._events), depth)
            text = key.text or ""
            if text == _MERGE and not self._is_json:
                self._merge(merged, value)
                continue
            if text in lines:
                self._repeated.append(RepeatedKey(text, key.source, lines[text]))
            lines[text] = key.line
            fields[text] = value.at(key.line)
        return {**merged, **fields}

    def _merge(self, merged: dict[str, Node], value: Node) -> None:
        """Add the fields of a merge key; of several mappings the first wins."""
        for each in value.items if isinstance(value.value, list) else (value,):
            if each.value is not None and not isinstance(each.value, dict):
                raise _ProblemError(value.line, "<< needs a mapping, or a list of mappings")
            self._grow(len(each.fields), each.line)
            for key, node in each.fields.items():
                merged.setdefault(key, node)

    def _grow(self, count: int, line: int) -> None:
        self._count += count
        if self._count > _MOST_VALUES:
            raise _ProblemError(line, f"more than {_MOST_VALUES} values")


def _complaint(text: str, name: str, line: int, reason: str) -> BadLine:
    """Describe an error, with a fix for the two common ones: a template, and indentation with tabs."""
    lines = text.split("\n")
    for near in range(max(line - 2, 1), min(line + 1, len(lines)) + 1):
        if _TEMPLATE.match(lines[near - 1]):
            return BadLine(Source(name, near), "", UNRENDERED)
    written = lines[line - 1] if line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        reason += ": indent with spaces, not with a tab"
    return BadLine(Source(name, line), "", reason)
