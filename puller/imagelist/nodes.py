"""YAML and JSON files as values with line numbers.

libyaml reads both formats; a JSON file is first checked by Python's parser. The values are built from libyaml's events
and not by `yaml.compose`, which rejects an anchor that is defined twice (YAML allows it), does not record the line of
an alias, and does not limit the number of values. No object is constructed from a tag.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final, NamedTuple

import yaml

from puller.imagelist.entry import BadLine, Note, Source

LITERAL = "!literal"
"""The tag of numbers, and of true and false in JSON: programs may write their text in another way."""
_MOST_LEVELS = 100
"""Levels of nesting; the parsers recurse, and real files have a dozen levels."""
_TOO_DEEP = f"nested deeper than {_MOST_LEVELS} levels"
_MOST_VALUES = 1_000_000
"""Values of one file, with those that merge keys copy, so that aliases cannot make a small file huge."""
_NULLS = {"", "~", "null", "Null", "NULL"}
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?")
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# `${{ }}` is an expression of GitHub Actions, which is valid.
_TEMPLATE = re.compile(r"[^#]*?(?<!\$)(\{\{|\{%)")
_UNRENDERED = "an unrendered template: render it first (helm template, kustomize build, …)"
# Characters that JSON allows in a string and YAML does not: control characters, line separators, lone surrogates.
_JSON_ONLY = re.compile(
    r"\\u(d[89ab]..)\\u(d[c-f]..)|\\u(d[89a-f]..)|\\.|[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", re.IGNORECASE
)


class Node:
    """One value of a document; false if it is null. Scalars are the text of the file: `3.10` and `on` stay."""

    __slots__ = ("source", "tag", "value")

    def __init__(self, value: "str | list[Node] | dict[str, Node] | None", source: Source, tag: str = "") -> None:
        self.value: Final = value
        self.source: Final = source
        """The place of the value; in a mapping that of its key."""
        self.tag: Final = tag
        """The explicit tag, such as `!reference`."""

    def __bool__(self) -> bool:
        return self.value is not None

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

    @property
    def members(self) -> "Sequence[Node]":
        """The elements of a sequence, or another value alone; empty for null."""
        return self.value if isinstance(self.value, list) else [self] if self else ()

    def get(self, *path: str) -> "Node":
        """Return the value at a path of keys; a null one where it is missing."""
        node = self
        for key in path:
            node = node.fields.get(key, MISSING)
        return node

    def at(self, source: Source) -> "Node":
        """Return the same value with another place: that of its key or alias."""
        return self if source.line == self.source.line else Node(self.value, source, self.tag)


MISSING = Node(None, Source(""))


class Parsed(NamedTuple):
    """The documents of one file."""

    documents: Sequence[Node] = ()
    repeated: Sequence[Note] = ()
    """Duplicate keys of mappings; the last one is used."""
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
    composer = _Composer(text, name, is_json=is_json)
    try:
        composer.read()
        return Parsed(composer.documents, composer.repeated)
    except _ProblemError as error:
        line, reason = error.args
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        reason = error.problem or error.context or "it cannot be read"
        # libyaml has its own limit, and reaches it before the first event.
        reason = _TOO_DEEP if "nesting depth" in reason else f"not valid YAML: {reason}"
    except yaml.YAMLError:
        found = _UNPRINTABLE.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        reason = "not valid YAML: a control character"
    return Parsed(composer.documents, composer.repeated, _complaint(text, name, line, reason))


class _ProblemError(Exception):
    """An error in a file that is valid for the YAML parser; its arguments are the line and the reason."""


class _Composer:
    """Builds nodes from the parser's events; aliases share one value, merge keys are resolved.

    https://yaml.org/type/merge.html
    """

    def __init__(self, text: str, name: str, *, is_json: bool) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self._source = Source(name, 1)
        self._is_json = is_json
        self._anchors: dict[str, Node | None] = {}
        """None while the value of the anchor is being read."""
        self._count = 0
        self.documents: list[Node] = []
        self.repeated: list[Note] = []

    def read(self) -> None:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                self.documents.append(self._node(next(self._events), 0))

    def _node(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        if line != self._source.line:  # the values of a line share their source
            self._source = Source(self._source.name, line)
        source = self._source
        self._grow(1, line)
        if depth > _MOST_LEVELS:
            raise _ProblemError(line, _TOO_DEEP)
        if isinstance(event, yaml.AliasEvent):
            anchor = event.anchor or ""
            named = self._anchors.get(anchor)
            if named is None:
                why = "is inside the value that it names" if anchor in self._anchors else "has no anchor before it"
                raise _ProblemError(line, f"the alias *{anchor} {why}")
            return named.at(source)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, source)
        else:
            if event.anchor:
                self._anchors[event.anchor] = None
            is_sequence = isinstance(event, yaml.SequenceStartEvent)
            node = Node(self._sequence(depth + 1) if is_sequence else self._mapping(depth + 1), source, event.tag or "")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any, source: Source) -> Node:
        if event.style or event.tag:
            return Node(event.value, source, event.tag or "")
        if event.value in _NULLS:
            return Node(None, source)
        return Node(event.value, source, LITERAL if self._is_json or _NUMBER.fullmatch(event.value) else "")

    def _sequence(self, depth: int) -> list[Node]:
        members = takewhile(lambda event: not isinstance(event, yaml.SequenceEndEvent), self._events)
        return [self._node(event, depth) for event in members]

    def _mapping(self, depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, value = self._node(event, depth), self._node(next(self._events), depth)
            if isinstance(key.value, (list, dict)):
                raise _ProblemError(key.source.line, "a key must be plain text")
            text = key.text or ""
            if text == "<<" and not self._is_json:
                self._merge(merged, value)
                continue
            if text in fields:
                first = fields[text].source.line
                self.repeated.append(Note(key.source, f"duplicate key {text} (first on line {first})"))
            fields[text] = value.at(key.source)
        return {**merged, **fields}

    def _merge(self, merged: dict[str, Node], value: Node) -> None:
        """Add the fields of a merge key; of several mappings the first wins."""
        for each in value.members:
            if each and not isinstance(each.value, dict):
                raise _ProblemError(value.source.line, "<< needs a mapping, or a list of mappings")
            self._grow(len(each.fields), each.source.line)
            for key, node in each.fields.items():
                merged.setdefault(key, node)

    def _grow(self, count: int, line: int | None) -> None:
        self._count += count
        if self._count > _MOST_VALUES:
            raise _ProblemError(line, f"more than {_MOST_VALUES} values")


def _complaint(text: str, name: str, line: int, reason: str) -> BadLine:
    """Describe an error, with a fix for the two common ones: a template, and indentation with tabs."""
    lines = text.split("\n")
    for near in range(max(line - 2, 1), min(line + 1, len(lines)) + 1):
        if _TEMPLATE.match(lines[near - 1]):
            return BadLine(Source(name, near), "", _UNRENDERED, is_template=True)
    written = lines[line - 1] if line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        reason += ": indent with spaces, not with a tab"
    return BadLine(Source(name, line), "", reason)
