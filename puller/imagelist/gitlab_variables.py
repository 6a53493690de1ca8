"""Variables of a GitLab pipeline, as far as its files say what they are (https://docs.gitlab.com/ci/variables/)."""

import re
from itertools import islice, product
from typing import TYPE_CHECKING

from puller.imagelist.nodes import LITERAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from puller.imagelist.nodes import Node


_LONGEST = 4096
"""Characters of a value; no reference is longer."""
_MOST_ROWS = 200
"""Jobs that GitLab makes of one `parallel:matrix`."""
_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)|\$\[\[.*?\]\]")


def variables(shared: "Node | None", job: "Node") -> "Sequence[Mapping[str, str]]":
    """Say what the variables of a job are; several times, where a matrix makes several jobs of it."""
    values = {**_values(shared), **_values(job.get("variables"))}
    matrix = job.get("parallel", "matrix")
    rows: list[Mapping[str, str]] = []
    for row in matrix.items if matrix else ():
        choices = [[_text(each) for each in node.items or (node,)] for node in row.fields.values()]
        combinations = islice(product(*choices), _MOST_ROWS - len(rows))
        rows.extend({**values, **dict(zip(row.fields, combination, strict=True))} for combination in combinations)
    return rows or [values]


def expansions(text: str, variables: "Sequence[Mapping[str, str]]") -> "Iterator[tuple[str, str]]":
    """Fill in the variables, once for each set of values; beside it, the first variable that has none."""
    found: dict[tuple[str, str], None] = {}
    for values in variables:
        found[_expand(text, values, {})] = None
    yield from found


def _expand(text: str, values: "Mapping[str, str]", known: dict[str, tuple[str, str]]) -> tuple[str, str]:
    unknown = ""

    def value(match: re.Match[str]) -> str:
        nonlocal unknown
        name = match[1] or match[2]
        if match[0] == "$$":
            return "$"
        if name in values and name not in known:
            known[name] = "", match[0]  # until it is known, so that a variable that holds itself is none
            known[name] = _expand(values[name], values, known)
        inner, missing = known.get(name, ("", match[0]))
        unknown = unknown or missing
        return inner[:_LONGEST]

    return _VARIABLE.sub(value, text[:_LONGEST]), unknown


def _values(node: "Node | None") -> dict[str, str]:
    """Read variables, which may have a description beside their value."""
    found = {}
    for name, each in node.fields.items() if node else ():
        value = each if each.text is not None else each.get("value")
        found[name] = _text(value)
    return found


def _text(node: "Node | None") -> str:
    """Write a value as GitLab does, to whom 3.10 is the number 3.1."""
    text = (node.text or "") if node else ""
    if node and node.tag == LITERAL and "." in text:
        whole, _, part = text.partition(".")
        return f"{whole}.{part.rstrip('0') or '0'}"
    return text
