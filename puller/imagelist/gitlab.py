"""GitLab CI (https://docs.gitlab.com/ci/yaml/ and …/ci/variables/): the images and services of a pipeline's jobs.

A hidden job (`.name`) is used only by the jobs that extend it. Predefined variables such as `$CI_REGISTRY_IMAGE` come
from the environment, as in a pipeline; an image with others is left out with a note.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice, product
from pathlib import Path

from puller.errors import ListError
from puller.imagelist.entry import BadLine, Item, Note, Source, entry_of
from puller.imagelist.nodes import LITERAL, MISSING, Node, load
from puller.imagelist.source import ListSource, read_file

_MARKS = {"script", "trigger", "extends", "before_script", "run"}
_TOP = {"stages", "default", "workflow", "include", "image", "services", "before_script"}
_NOT_JOBS = _TOP | {"variables", "cache", "after_script", "spec", "types"}
_FILE = ".gitlab-ci.yml"
_PREDEFINED = ("CI_", "GITLAB_")
"""The beginnings of the names of variables that GitLab sets in a pipeline."""
_IN_PIPELINE = "is known only in the pipeline"
_MACHINE = re.compile(r"macos-\d+-xcode-\d+$")
_ELSEWHERE = ("remote", "project", "template", "component")
_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)|\$\[\[.*?\]\]")
_MOST_FILES, _MOST_ROWS, _DEEPEST = 150, 200, 11
"""Included files, jobs of one `parallel:matrix`, and levels of `extends`: GitLab's own limits."""
_LONGEST = 4096
"""Characters of a value; references are shorter."""
_NESTED = 3
_MEMBERS = 100


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Tell whether this has jobs, or the file has the name of a pipeline."""
    if ".gitlab-ci." in source.file or source.file.startswith(".gitlab-ci"):
        return True
    root = documents[-1]
    jobs = [node for node in root.fields.values() if node.fields.keys() & _MARKS]
    includes = root.get("include").members
    are_files = all(entry.text or entry.fields.keys() & {"local", *_ELSEWHERE} for entry in includes)
    only_includes = bool(includes) and are_files and root.fields.keys() <= _TOP | {"variables", "spec"}
    return bool(jobs and (root.fields.keys() & _TOP or any(node.get("script") for node in jobs))) or only_includes


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:
    """Yield the images of every job that can run, each followed by those of its services."""
    pipeline = _Pipeline(documents, source)
    found: list[Item] = []
    known = {name: value for name, value in source.environment.items() if name.startswith(_PREDEFINED)}
    for job in pipeline.jobs():
        values = _variables(known, pipeline.root.get("variables"), job)
        for each in (pipeline.of_job(job, "image"), *pipeline.of_job(job, "services").items):
            found += _image(each, values, known)
    yield from dict.fromkeys([*found, *pipeline.problems])


def _image(node: Node, values: Sequence[Mapping[str, str]], environment: Mapping[str, str]) -> Iterator[Item]:
    name = node if node.text is not None else node.get("name")
    if not name.text:
        return
    policies = [policy.text for policy in node.get("pull_policy").members]
    if policies and set(policies) == {"never"}:
        yield Note(name.source, "pull_policy: never, nothing to pull", name.text)
        return
    if _MACHINE.match(name.text):
        yield Note(name.source, "a virtual machine of GitLab, no container image", name.text)
        return
    for variable in _VARIABLE.finditer(name.text):
        if (key := variable[1] or variable[2]) in environment and environment[key] == values[0].get(key):
            yield Note(name.source, "taken from the environment", variable[0])
    for text, unknown in dict.fromkeys(_expand(name.text, row, {}) for row in values):
        if unknown:
            is_set = unknown.strip("${}").startswith(_PREDEFINED)
            why = f"no value for {unknown}: set it in the environment" if is_set else f"{unknown} {_IN_PIPELINE}"
            yield Note(name.source, why, name.text)
        else:
            yield entry_of(text.strip(), name.source, node.get("docker", "platform").text)


def _variables(known: Mapping[str, str], shared: Node, job: Node) -> Sequence[Mapping[str, str]]:
    """Return the variables of a job, predefined ones and those of the files: one set for each job of its matrix."""
    values = {**known, **_values(shared), **_values(job.get("variables"))}
    rows: list[Mapping[str, str]] = []
    for row in job.get("parallel", "matrix").items:
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


def _values(node: Node) -> dict[str, str]:
    """Read variables, with or without a description."""
    return {name: _text(each if each.text is not None else each.get("value")) for name, each in node.fields.items()}


def _text(node: Node) -> str:
    """Return a value as GitLab does, which reads 3.10 as the number 3.1."""
    text = node.text or ""
    if node.tag == LITERAL and "." in text:
        whole, _, part = text.partition(".")
        return f"{whole}.{part.rstrip('0') or '0'}"
    return text


class _Pipeline:
    """A pipeline merged from its files: local includes, `extends`, `default`, `!reference`; later definitions win."""

    def __init__(self, documents: Sequence[Node], source: ListSource) -> None:
        self.problems: list[Item] = []
        self._fields: dict[str, Node] = {}
        self.root = Node(self._fields, Source(source.name))
        self._done: dict[str, Node] = {}
        self._top = _top(source)
        self._files: set[Path] = set()
        self._take(documents, source)

    def jobs(self) -> Iterator[Node]:
        """Yield the jobs that can run, merged with what they extend; in a file without jobs one with the defaults."""
        found = [
            self._extended(name)
            for name, node in self._fields.items()
            if name not in _NOT_JOBS and not name.startswith(".") and node.fields
        ]
        yield from (job for job in found if not job.get("trigger"))
        if not found and self._fields:
            yield MISSING

    def of_job(self, job: Node, key: str) -> Node:
        """Return `image` or `services` of a job, or else the default of all jobs."""
        if key in job.fields:
            return self._resolved(job.fields[key])
        inherit = job.get("inherit", "default")
        if not inherit or inherit.text == "true" or any(member.text == key for member in inherit.items):
            return self._resolved(self.root.get("default", key) or self.root.get(key))
        return MISSING

    def _take(self, documents: Sequence[Node], source: ListSource) -> None:
        for root in documents:
            for entry in root.get("include").members:
                self._include(entry, source)
            for name, node in root.fields.items():
                self._fields[name] = node if name == "include" else _over(node, self.root.get(name))

    def _include(self, entry: Node, source: ListSource) -> None:
        local = entry if entry.text is not None else entry.get("local")
        path = local.text or ""
        if not local or path.startswith(("https://", "http://")):
            what = next((f"{key} {found.text or ''}" for key in _ELSEWHERE if (found := entry.get(key))), path)
            self.problems.append(Note(entry.source, f"include: {what.strip()}: not read, it is not in this repository"))
        elif "$" in path:
            self.problems.append(Note(entry.source, f"include: {path}: {_IN_PIPELINE}"))
        elif self._top is None:
            self.problems.append(BadLine(entry.source, path, "include: a list from a URL cannot include other files"))
        else:
            self._local(path.lstrip("/"), local, self._top, source)

    def _local(self, path: str, local: Node, top: Path, source: ListSource) -> None:
        found: list[Path] = []
        with suppress(ValueError, NotImplementedError):
            found = sorted(top.glob(path)) if "*" in path else [top / path]
        for file in found:
            if file in self._files:
                continue
            self._files.add(file)
            shown = os.path.relpath(file) if not Path(source.name).is_absolute() else str(file)
            try:
                if len(self._files) > _MOST_FILES:
                    raise ListError([f"include: more than {_MOST_FILES} files"])  # noqa: TRY301 - handled below
                parsed = load(read_file(file, shown), shown)
            except ListError as error:
                self.problems.append(BadLine(local.source, "", str(error)))
                continue
            if parsed.problem:
                self.problems.append(parsed.problem)
            self._take(parsed.documents, ListSource(shown, top))

    def _extended(self, name: str, depth: int = 0) -> Node:
        """Merge a job with those that it extends; the last of them wins."""
        if name in self._done:
            return self._done[name]
        job = self._done[name] = self._fields[name]  # for a job that extends itself
        base = MISSING
        for parent in job.get("extends").members if depth < _DEEPEST else ():
            if (parent.text or "") in self._fields:
                base = _over(self._extended(parent.text or "", depth + 1), base)
            else:
                self.problems.append(Note(parent.source, f"extends {parent.text}: not in the files that were read"))
        self._done[name] = _over(job, base)
        return self._done[name]

    def _resolved(self, node: Node, depth: int = 0) -> Node:
        """Resolve `!reference [job, key]`, also as an element of a list."""
        if node.tag == "!reference" and depth < _DEEPEST:
            job, *keys = [name.text or "" for name in node.items] or [""]
            return self._resolved(self._extended(job).get(*keys), depth + 1) if job in self._fields else MISSING
        if isinstance(node.value, list) and depth < _NESTED:
            resolved = (self._resolved(member, depth + 1) for member in node.value[:_MEMBERS])
            return Node([each for member in resolved for each in member.members], node.source)
        return node


def _over(node: Node, base: Node, depth: int = 0) -> Node:
    """Merge mappings key by key and replace all other values, as GitLab does."""
    if not node.fields or not base.fields or node.tag or base.tag or depth > _NESTED:
        return node
    merged = {key: _over(each, base.get(key), depth + 1) for key, each in node.fields.items()}
    return Node({**base.fields, **merged}, node.source)


def _top(source: ListSource) -> Path | None:
    """Return the top directory of the repository, to which local includes are relative; None for a URL."""
    if source.folder is None:
        return None
    here = source.folder.absolute()
    if source.file == _FILE:
        return here
    return next((each for each in (here, *here.parents) if (each / _FILE).exists() or (each / ".git").exists()), here)
