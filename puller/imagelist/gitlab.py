"""GitLab CI (https://docs.gitlab.com/ci/yaml/ and …/ci/variables/): the images and services of a pipeline's jobs.

A hidden job (`.name`) is used only by the jobs that extend it. An image whose variables are known only in the
pipeline, such as `$CI_REGISTRY_IMAGE`, is left out with a note.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

from puller.imagelist.entry import Item, Note, entry_of
from puller.imagelist.gitlab_pipeline import Pipeline
from puller.imagelist.nodes import LITERAL, Node
from puller.imagelist.source import ListSource

_MARKS = {"script", "trigger", "extends", "before_script", "run"}
_TOP = {"stages", "default", "workflow", "include", "image", "services", "before_script"}
_LONGEST = 4096
"""Characters of a value; references are shorter."""
_MOST_ROWS = 200
"""Jobs of one `parallel:matrix`: GitLab's own limit."""
_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)|\$\[\[.*?\]\]")


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Tell whether this has jobs, or the file has the name of a pipeline."""
    if ".gitlab-ci." in source.file or source.file.startswith(".gitlab-ci"):
        return True
    root = documents[-1]
    jobs = [node for node in root.fields.values() if node.fields.keys() & _MARKS]
    includes = root.get("include")
    only_includes = bool(includes) and root.fields.keys() <= _TOP | {"variables", "spec"}
    return bool(jobs and (root.fields.keys() & _TOP or any(node.get("script") for node in jobs))) or only_includes


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:
    """Yield the images of every job that can run, each followed by those of its services."""
    pipeline = Pipeline(documents, source)
    yield from dict.fromkeys(_items(pipeline))


def _items(pipeline: Pipeline) -> Iterator[Item]:
    for job in pipeline.jobs():
        image = pipeline.of_job(job, "image")
        services = pipeline.of_job(job, "services")
        values = _variables(pipeline.variables, job)
        if image:
            yield from _image(image, values)
        for service in services.items if services else ():
            yield from _image(service, values)
    yield from pipeline.problems


def _image(node: Node, values: Sequence[Mapping[str, str]]) -> Iterator[Item]:
    name = node if node.text is not None else node.get("name")
    platform = node.get("docker", "platform")
    if name is None or not name.text:
        return
    for text, unknown in dict.fromkeys(_expand(name.text, row, {}) for row in values):
        if unknown:
            yield Note(name.source, f"{name.text}: {unknown} is known only in the pipeline")
        else:
            yield entry_of(text.strip(), name.source, platform.text if platform else None)


def _variables(shared: Node | None, job: Node) -> Sequence[Mapping[str, str]]:
    """Return the variables of a job that the files define: one set for each job of its matrix."""
    values = {**_values(shared), **_values(job.get("variables"))}
    matrix = job.get("parallel", "matrix")
    rows: list[Mapping[str, str]] = []
    for row in matrix.items if matrix else ():
        choices = [[_text(each) for each in node.items or (node,)] for node in row.fields.values()]
        combinations = islice(product(*choices), _MOST_ROWS - len(rows))
        rows.extend({**values, **dict(zip(row.fields, combination, strict=True))} for combination in combinations)
    return rows or [values]


def _expand(text: str, values: Mapping[str, str], known: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """Expand a text; return it with its first variable that is not known, or an empty string."""
    unknown = ""

    def value(match: re.Match[str]) -> str:
        nonlocal unknown
        name = match[1] or match[2]
        if match[0] == "$$":
            return "$"
        if name in values and name not in known:
            known[name] = "", match[0]  # in the meantime: a variable that refers to itself has no value
            known[name] = _expand(values[name], values, known)
        inner, missing = known.get(name, ("", match[0]))
        unknown = unknown or missing
        return inner[:_LONGEST]

    return _VARIABLE.sub(value, text[:_LONGEST]), unknown


def _values(node: Node | None) -> dict[str, str]:
    """Read variables, with or without a description."""
    found = {}
    for name, each in node.fields.items() if node else ():
        value = each if each.text is not None else each.get("value")
        found[name] = _text(value)
    return found


def _text(node: Node | None) -> str:
    """Return a value as GitLab does, which reads 3.10 as the number 3.1."""
    text = (node.text or "") if node else ""
    if node and node.tag == LITERAL and "." in text:
        whole, _, part = text.partition(".")
        return f"{whole}.{part.rstrip('0') or '0'}"
    return text
