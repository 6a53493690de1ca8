"""GitHub Actions: the images of the jobs, services and steps of a workflow, and those of an action.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax (`jobs.<job_id>.container`,
`.services`, `.steps[*].uses`, `.strategy.matrix`) and `/metadata-syntax` (`runs.image`). If the values of a matrix are
literal, `${{ matrix.image }}` is expanded.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

from puller.imagelist.entry import Item, Note, entry_of
from puller.imagelist.nodes import LITERAL, MISSING, Node
from puller.imagelist.source import ListSource

_DOCKER = "docker://"
_MOST = 256
"""Jobs of one matrix: GitHub's own limit."""
_DEEPEST = 5
"""Levels of nested mappings that are compared."""
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_MATRIX = re.compile(r"\s*matrix((?:\.[\w-]+|\[\s*'[^']*'\s*\])+)\s*")
_KEY = re.compile(r"\.([\w-]+)|\[\s*'([^']*)'\s*\]")
_LITERAL = re.compile(r"\s*'((?:[^']|'')*)'\s*")


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Tell whether this is a workflow or an action."""
    root = documents[0]
    is_workflow = root.get("jobs").fields and ("on" in root.fields or ".github/" in source.name)
    return bool(is_workflow or root.get("runs", "using"))


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:  # noqa: ARG001 - the signature of all
    """Yield the images in the order of the file."""
    for root in documents:
        for name, job in root.get("jobs").fields.items():
            yield from _job(name, job)
        yield from _action(root.get("runs"))


def _job(name: str, job: Node) -> Iterator[Item]:
    rows = _rows(job.get("strategy", "matrix"))
    yield from _container(job.get("container"), f"job {name}", rows)
    for service, container in job.get("services").fields.items():
        yield from _container(container, f"service {service}", rows)
    yield from _steps(job, f"job {name}", rows)


def _action(runs: Node) -> Iterator[Item]:
    image = runs.get("image")
    if image.text and image.text.startswith(_DOCKER):
        yield from _image(image, "the action", [])
    elif image.text:
        yield Note(image.source, f"the action is built from {image.text}, nothing to pull")
    yield from _steps(runs, "the action", [])


def _steps(node: Node, where: str, rows: Sequence[Node]) -> Iterator[Item]:
    for step in node.get("steps").items:
        uses = step.get("uses")
        if uses.text and uses.text.strip().startswith(_DOCKER):
            yield from _image(uses, where, rows)


def _container(container: Node, where: str, rows: Sequence[Node]) -> Iterator[Item]:
    """Read a container, which may be just its image."""
    yield from _image(container if container.text is not None else container.get("image"), where, rows)


def _image(node: Node, where: str, rows: Sequence[Node]) -> Iterator[Item]:
    text = (node.text or "").strip().removeprefix(_DOCKER)
    found = _filled(text, rows)
    if found is None:
        yield Note(node.source, "known only when the workflow runs", f"{where}: {text}")
        return
    for reference in found:
        # With an empty value the job runs without a container.
        if reference := reference.strip().removeprefix(_DOCKER):
            yield entry_of(reference, node.source)


def _rows(matrix: Node) -> Sequence[Node]:
    """Return the jobs of a matrix; none where its values are expressions."""
    axes = {key: axis for key, axis in matrix.fields.items() if key not in ("include", "exclude")}
    if not all(isinstance(axis.value, list) for axis in axes.values()):
        return []
    if prod(len(axis.items) for axis in axes.values()) > _MOST:
        return []
    combinations = product(*(axis.items for axis in axes.values())) if axes else ()
    made = [dict(zip(axes, values, strict=True)) for values in combinations]
    excluded = matrix.get("exclude").items[:_MOST]
    made = [row for row in made if not any(_same(Node(row, other.source), other) for other in excluded)]
    extra: list[dict[str, Node]] = []
    for include in matrix.get("include").items[:_MOST]:
        # It is added to the jobs whose values it does not change, or else as a new job.
        shared = axes.keys() & include.fields.keys()
        fits = [row for row in made if all(_same(row[key], include.fields[key]) for key in shared)]
        for row in fits:
            row.update(include.fields)
        if not fits:
            extra.append(dict(include.fields))
    return [Node(row, matrix.source) for row in made + extra]


def _filled(text: str, jobs: Sequence[Node]) -> list[str] | None:
    """Return the distinct values of `text` in all jobs; None where they are known only at run time."""
    if "${{" not in text:
        return [text]
    found: dict[str, None] = {}
    for row in jobs or [MISSING]:
        parts = [_value(part, row) if number % 2 else part for number, part in enumerate(_EXPRESSION.split(text))]
        if None in parts:
            return None
        found["".join(part for part in parts if part)] = None
    return list(found)


def _value(expression: str, row: Node) -> str | None:
    if literal := _LITERAL.fullmatch(expression):
        return literal[1].replace("''", "'")
    named = _MATRIX.fullmatch(expression)
    if not named or not row:
        return None
    node = row.get(*(key or quoted for key, quoted in _KEY.findall(named[1])))
    if not node:  # in an expression of GitHub a missing value is an empty string
        return ""
    if node.text is None or "${{" in node.text:
        return None
    # GitHub reads 3.10 as a number, which it writes 3.1.
    return node.text.rstrip("0").rstrip(".") if node.tag == LITERAL and "." in node.text else node.text


def _same(one: Node, other: Node, depth: int = 0) -> bool:
    if one.fields and other.fields and depth < _DEEPEST:
        fields = one.fields
        return all(key in fields and _same(fields[key], value, depth + 1) for key, value in other.fields.items())
    return one.value == other.value
