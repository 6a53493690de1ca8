"""Structured files, YAML and JSON, as values that know the line they are written on.

libyaml reads both; JSON is YAML 1.2, and Python's own reader checks first that it is strict JSON. The values are built
from the parser's events and not by `yaml.compose`, which refuses an anchor that is defined twice (YAML allows it),
forgets where an alias stands and has no limit on the number of values. Nothing is ever constructed from a tag.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from puller.imagelist.entry import BadLine, Source

LITERAL = "!literal"
"""The tag of numbers, and of JSON's true and false: their nodes have a text, which programs may write otherwise."""
_MOST_LEVELS = 100
"""Levels of nesting; real files have a dozen, and the parsers recurse."""
_TOO_DEEP = f"nested deeper than {_MOST_LEVELS} levels"
_MOST_VALUES = 1_000_000
"""Values of one file; merges count what they copy, so that aliases cannot multiply a small file."""
_NULLS = {"", "~", "null", "Null", "NULL"}
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?")
_MERGE = "<<"
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# `${{ }}` is an expression of GitHub Actions, and may stand in a valid file.
_TEMPLATE = re.compile(r"[^#]*?(?<!\$)(\{\{|\{%)")
UNRENDERED = "an unrendered template: render it first (helm template, kustomize build, …)"
# What JSON allows in a string and YAML does not: control characters, line separators, halves of a surrogate pair.
_JSON_ONLY = re.compile(
    r"\\u(d[89ab]..)\\u(d[c-f]..)|\\u(d[89a-f]..)|\\.|[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One value of a document. Scalars are text as written: `3.10` stays `3.10`, `on` stays `on`."""

    value: "str | list[Node] | dict[str, Node] | None"
    """None is YAML's and JSON's null."""
    name: str
    """The name of the file in messages."""
    line: int
    """Where the value is written; for the value of a mapping the line of its key."""
    tag: str = ""
    """The tag that was written, such as `!reference`."""

    @property
    def source(self) -> Source:
        """The file and the line."""
        return Source(self.name, self.line)

    @property
    def text(self) -> str | None:
        """The scalar; None for everything else."""
        return self.value if isinstance(self.value, str) else None

    @property
    def items(self) -> "Sequence[Node]":
        """The members of a sequence; everything else has none."""
        return self.value if isinstance(self.value, list) else ()

    @property
    def fields(self) -> "Mapping[str, Node]":
        """The fields of a mapping; everything else has none."""
        return self.value if isinstance(self.value, dict) else {}

    def get(self, *path: str) -> "Node | None":
        """Return the value at the end of a path of keys; None where there is none, or null."""
        node: Node | None = self
        for key in path:
            node = node.fields.get(key) if node else None
        return node if node and node.value is not None else None

    def at(self, line: int) -> "Node":
        """Return the same value with another line: that of its key, or of the alias that stands for it."""
        return self if line == self.line else Node(self.value, self.name, line, self.tag)


@dataclass(frozen=True, slots=True)
class RepeatedKey:
    """A key that one mapping has twice; the last one counts."""

    key: str
    source: Source
    first: int
    """The line of the earlier one."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one file holds, as far as it could be read."""

    documents: tuple[Node, ...] = ()
    repeated: tuple[RepeatedKey, ...] = ()
    problem: BadLine | None = None
    """Why the reading ended before the end of the file."""


def load(data: bytes, name: str) -> Parsed:
    """Read all documents of a YAML or JSON file; `name` is its name in messages."""
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
    # YAML refuses a tab at the beginning of the first line, and of one after the end.
    body = text.lstrip()
    above = "\n" * text.count("\n", 0, len(text) - len(body))
    return _parse(above + _JSON_ONLY.sub(_as_yaml, body.rstrip()), name, is_json=True)


def _as_yaml(match: re.Match[str]) -> str:
    """Write a part of a JSON string as YAML has it."""
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
            documents.append(document)  # noqa: PERF402 - what was read before an error is kept
    except _ProblemError as error:
        problem = _complaint(text, name, error.line, str(error))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "it cannot be read"
        # libyaml has a limit of its own, and meets it before it reports the first level.
        reason = _TOO_DEEP if "nesting depth" in reason else f"not valid YAML: {reason}"
        problem = _complaint(text, name, mark.line + 1 if mark else 1, reason)
    except yaml.YAMLError:
        found = _UNPRINTABLE.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        problem = _complaint(text, name, line, "not valid YAML: a control character")
    return Parsed(tuple(documents), tuple(repeated), problem)


class _ProblemError(Exception):
    """Something that the YAML parser accepts and we do not."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class _Composer:
    """Builds nodes from the parser's events; aliases share their value, merge keys are resolved.

    https://yaml.org/type/merge.html
    """

    def __init__(self, text: str, name: str, repeated: list[RepeatedKey], *, is_json: bool) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self._name = name
        self._repeated = repeated
        self._is_json = is_json
        self._anchors: dict[str, Node | None] = {}
        """None while the value that the anchor names is being read."""
        self._count = 0

    def documents(self) -> Iterator[Node]:
        """Yield one document after the other."""
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
        """Add what is merged; of several merges the first wins."""
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
    """Word a problem, with its fix where that is known: a template is not rendered, a tab indents."""
    lines = text.split("\n")
    for near in range(max(line - 2, 1), min(line + 1, len(lines)) + 1):
        if _TEMPLATE.match(lines[near - 1]):
            return BadLine(Source(name, near), "", UNRENDERED)
    written = lines[line - 1] if line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        reason += ": indent with spaces, not with a tab"
    return BadLine(Source(name, line), "", reason)
