"""What structured files become: values that know where they are written, whatever notation they came in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from puller.imagelist.entry import Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from puller.imagelist.entry import BadLine


DEEPEST = 100
"""Levels of nesting; real files have a dozen, and whoever walks a document may recurse."""
TOO_DEEP = f"nested deeper than {DEEPEST} levels"
MOST = 1_000_000
"""Values of one file; merges count what they copy, so that aliases cannot multiply a small file."""
LITERAL = "!literal"
"""The tag of numbers, and of JSON's true and false: their nodes have a text, which programs may write otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One value of a document. Scalars are text as written: `3.10` stays `3.10`, `on` stays `on`."""

    value: "str | list[Node] | dict[str, Node] | None"
    """None is YAML's and JSON's null."""
    name: str
    """What complaints call the file."""
    line: int
    """Where the value is written; for the value of a mapping the line of its key."""
    tag: str = ""
    """The tag that was written, such as `!reference`."""

    @property
    def source(self) -> Source:
        """Say where this is written."""
        return Source(self.name, self.line)

    @property
    def text(self) -> str | None:
        """The scalar; None for everything else."""
        return self.value if isinstance(self.value, str) else None

    @property
    def items(self) -> "Sequence[Node]":
        """The members of a sequence; of everything else there are none."""
        return self.value if isinstance(self.value, list) else ()

    @property
    def fields(self) -> "Mapping[str, Node]":
        """The fields of a mapping; everything else has none."""
        return self.value if isinstance(self.value, dict) else {}

    def get(self, *path: str) -> "Node | None":
        """Find the value at the end of a path of keys; None where there is none, or null."""
        node: Node | None = self
        for key in path:
            node = node.fields.get(key) if node else None
        return node if node and node.value is not None else None

    def at(self, line: int) -> "Node":
        """Give the same value another line: that of its key, or of the alias that stands for it."""
        return self if line == self.line else Node(self.value, self.name, line, self.tag)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A key that stands twice in one mapping; the last one counts."""

    key: str
    source: Source
    first: int
    """The line where it stood before."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one file holds, as far as it could be read."""

    documents: tuple[Node, ...] = ()
    repeated: tuple[Repeated, ...] = ()
    problem: "BadLine | None" = None
    """Why the reading ended before the end of the file."""
