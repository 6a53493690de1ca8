"""YAML as nodes: built from the parser's events, so that each value keeps its line and nothing is ever constructed.

Scalars stay text, which disarms YAML 1.1: no `on` becomes True, no tag `1.10` becomes 1.1. Aliases share their value,
depth and size are bounded, merge keys (https://yaml.org/type/merge.html) are resolved here.
"""

import re
from typing import Any

from puller.imagelist.entry import BadLine, Source
from puller.imagelist.nodes import DEEPEST, LITERAL, MOST, TOO_DEEP, Node, Parsed, Repeated

_NULLS = {"", "~", "null", "Null", "NULL"}
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?")
_MERGE = "<<"
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# `${{ }}` is an expression of GitHub Actions, and may stand in a valid file.
_TEMPLATE = re.compile(r"[^#]*?(?<!\$)(\{\{|\{%)")
UNRENDERED = "an unrendered template: render it first (helm template, kustomize build, …)"


class _ProblemError(Exception):
    """What the YAML parser lets pass and we do not."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class _Frame:
    """A collection that is being read."""

    __slots__ = ("anchor", "key", "lines", "merges", "node")

    def __init__(self, node: Node, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: Node | None = None
        self.lines: dict[str, int] = {}
        self.merges: list[Node] = []


class _Builder:
    """Puts nodes together, one event at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.documents: list[Node] = []
        self.repeated: list[Repeated] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node | None] = {}
        self._count = 0

    def start_document(self) -> None:
        """Forget the anchors: they belong to one document."""
        self._anchors = {}

    def scalar(self, event: Any, line: int) -> None:
        """Take a scalar; plain nothing is null."""
        plain = not event.style and not event.tag
        value = None if plain and event.value in _NULLS else event.value
        tag = LITERAL if plain and _NUMBER.fullmatch(event.value) else event.tag or ""
        node = Node(value, self.name, line, tag)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._add(node)

    def alias(self, event: Any, line: int) -> None:
        """Take what an alias stands for: shared, not copied."""
        if event.anchor not in self._anchors:
            raise _ProblemError(line, f"the alias *{event.anchor} has no anchor before it")
        node = self._anchors[event.anchor]
        if node is None:
            raise _ProblemError(line, f"the alias *{event.anchor} stands inside of what it names")
        self._add(node.at(line))

    def start(self, event: Any, value: list[Node] | dict[str, Node], line: int) -> None:
        """Open a collection."""
        if len(self._stack) >= DEEPEST:
            raise _ProblemError(line, TOO_DEEP)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(Node(value, self.name, line, event.tag or ""), event.anchor))

    def end(self) -> None:
        """Close a collection and put it where it belongs."""
        frame = self._stack.pop()
        if frame.merges and isinstance(frame.node.value, dict):
            self._merge(frame.node.value, frame.merges)
        if frame.anchor:
            self._anchors[frame.anchor] = frame.node
        self._add(frame.node)

    def _add(self, node: Node) -> None:
        self._grow(1, node.line)
        if not self._stack:
            self.documents.append(node)
            return
        frame = self._stack[-1]
        if isinstance(frame.node.value, list):
            frame.node.value.append(node)
        elif frame.key is None:
            if isinstance(node.value, (list, dict)):
                raise _ProblemError(node.line, "a key must be plain text")
            frame.key = node
        else:
            key, frame.key = frame.key, None
            self._pair(frame, key, node)

    def _pair(self, frame: _Frame, key: Node, node: Node) -> None:
        text = key.text or ""
        if text == _MERGE:
            self._collect(frame, node)
            return
        if text in frame.lines:
            self.repeated.append(Repeated(text, key.source, frame.lines[text]))
        frame.lines[text] = key.line
        frame.node.value[text] = node.at(key.line)  # type: ignore[call-overload, index]

    def _collect(self, frame: _Frame, node: Node) -> None:
        for each in node.items if isinstance(node.value, list) else (node,):
            if each.value is not None and not isinstance(each.value, dict):
                raise _ProblemError(node.line, "<< wants a mapping, or a list of them")
            frame.merges.append(each)

    def _merge(self, own: dict[str, Node], merges: list[Node]) -> None:
        """Put what is merged before the mapping's own fields, which win; of several merges the first wins."""
        merged: dict[str, Node] = {}
        for other in merges:
            self._grow(len(other.fields), other.line)
            merged.update((key, node) for key, node in other.fields.items() if key not in merged)
        written = dict(own)
        own.clear()
        own.update(merged)
        own.update(written)

    def _grow(self, count: int, line: int) -> None:
        self._count += count
        if self._count > MOST:
            raise _ProblemError(line, f"more than {MOST} values")


def parse(text: str, name: str) -> Parsed:
    """Read all documents of a YAML stream; `name` is what complaints call it."""
    import yaml  # noqa: PLC0415 - a text list must not pay for it

    builder = _Builder(name)
    problem = None
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            _feed(builder, event)
    except _ProblemError as error:
        problem = _complaint(text, name, error.line, str(error))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = _complaint(text, name, mark.line + 1 if mark else 1, _reason(error))
    except yaml.YAMLError:
        found = _UNPRINTABLE.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        problem = _complaint(text, name, line, "not valid YAML: a control character")
    return Parsed(tuple(builder.documents), tuple(builder.repeated), problem)


def _feed(builder: _Builder, event: Any) -> None:
    line = event.start_mark.line + 1
    match type(event).__name__:
        case "ScalarEvent":
            builder.scalar(event, line)
        case "AliasEvent":
            builder.alias(event, line)
        case "SequenceStartEvent":
            builder.start(event, [], line)
        case "MappingStartEvent":
            builder.start(event, {}, line)
        case "SequenceEndEvent" | "MappingEndEvent":
            builder.end()
        case "DocumentStartEvent":
            builder.start_document()


def _reason(error: Any) -> str:
    problem = error.problem or error.context or "it cannot be read"
    # libyaml has a limit of its own, in newer releases, and meets it before it tells of the first level.
    return TOO_DEEP if "nesting depth" in problem else f"not valid YAML: {problem}"


def _complaint(text: str, name: str, line: int, reason: str) -> BadLine:
    """Word a problem, with its cure where that is known: a template is not rendered, a tab indents."""
    lines = text.split("\n")
    for near in range(max(line - 2, 1), min(line + 1, len(lines)) + 1):
        if _TEMPLATE.match(lines[near - 1]):
            return BadLine(Source(name, near), "", UNRENDERED)
    written = lines[line - 1] if line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        reason += ": indent with spaces, not with a tab"
    return BadLine(Source(name, line), "", reason)
