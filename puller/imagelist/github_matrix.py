"""The matrix of a GitHub Actions job: if its values are literal, `${{ matrix.image }}` can be expanded.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix
"""

import re
from collections.abc import Sequence
from itertools import product
from math import prod
from typing import TypeAlias

from puller.imagelist.nodes import LITERAL, Node

Row: TypeAlias = "dict[str, Node]"
Rows: TypeAlias = "list[Row]"

_MOST = 256
"""Jobs of one matrix: GitHub's own limit."""
_DEEPEST = 4
"""Levels of nested mappings that are compared."""
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_MATRIX = re.compile(r"\s*matrix((?:\.[\w-]+|\[\s*'[^']*'\s*\])+)\s*")
_KEY = re.compile(r"\.([\w-]+)|\[\s*'([^']*)'\s*\]")
_LITERAL = re.compile(r"\s*'((?:[^']|'')*)'\s*")


def rows(matrix: Node | None) -> Rows:
    """Return the jobs of a matrix; none where its values are expressions."""
    if matrix is None or not matrix.fields:
        return []
    include, exclude = matrix.get("include"), matrix.get("exclude")
    axes = {key: axis for key, axis in matrix.fields.items() if key not in ("include", "exclude")}
    if any(not isinstance(axis.value, list) for axis in axes.values()):
        return []
    if prod(len(axis.items) for axis in axes.values()) > _MOST:
        return []
    combinations = product(*(axis.items for axis in axes.values())) if axes else ()
    made: Rows = [dict(zip(axes, values, strict=True)) for values in combinations]
    made = [row for row in made if not any(_agrees(row, other) for other in (exclude.items[:_MOST] if exclude else ()))]
    return _included(made, include.items if include else (), set(axes))


def _included(made: Rows, includes: Sequence[Node], axes: set[str]) -> Rows:
    """Add each `include` to the jobs whose values it does not change, or else as a new job."""
    extra: Rows = []
    for include in includes[:_MOST]:
        shared = axes & include.fields.keys()
        fits = [row for row in made if all(_same(row[key], include.fields[key]) for key in shared)]
        for row in fits:
            row.update(include.fields)
        if not fits:
            extra.append(dict(include.fields))
    return made + extra


def fill(text: str, jobs: Rows) -> list[str] | None:
    """Return the distinct values of `text` in all jobs; None where they are known only at run time."""
    if "${{" not in text:
        return [text]
    found: dict[str, None] = {}
    for row in jobs or [{}]:
        parts = [_value(part, row) if number % 2 else part for number, part in enumerate(_EXPRESSION.split(text))]
        if None in parts:
            return None
        found["".join(part for part in parts if part)] = None
    return list(found)


def _value(expression: str, row: Row) -> str | None:
    if literal := _LITERAL.fullmatch(expression):
        return literal[1].replace("''", "'")
    named = _MATRIX.fullmatch(expression)
    if not named or not row:
        return None
    keys = [key or quoted for key, quoted in _KEY.findall(named[1])]
    node = row.get(keys[0])
    for key in keys[1:]:
        node = node.fields.get(key) if node else None
    # In an expression of GitHub a missing value is an empty string.
    if node is None or node.value is None:
        return ""
    if node.text is None or "${{" in node.text:
        return None
    # GitHub reads 3.10 as a number, which it writes 3.1.
    return node.text.rstrip("0").rstrip(".") if node.tag == LITERAL and "." in node.text else node.text


def _agrees(row: Row, other: Node) -> bool:
    return bool(other.fields) and all(key in row and _same(row[key], value) for key, value in other.fields.items())


def _same(one: Node, other: Node, depth: int = 0) -> bool:
    if one.fields and other.fields and depth < _DEEPEST:
        fields = one.fields
        return all(key in fields and _same(fields[key], value, depth + 1) for key, value in other.fields.items())
    return one.value == other.value
