"""A GitLab pipeline, merged from its files: local includes, `extends`, `default`, `!reference`.

https://docs.gitlab.com/ci/yaml/ (include, extends, default)
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from puller.errors import ListError
from puller.imagelist.entry import BadLine, Item, Note
from puller.imagelist.nodes import Node, load
from puller.imagelist.source import ListSource, read_file

_NOT_JOBS = {
    "default", "include", "stages", "variables", "workflow", "image", "services", "cache", "before_script",
    "after_script", "spec", "types",
}  # fmt: skip
_FILE = ".gitlab-ci.yml"
_ELSEWHERE = ("remote", "project", "template", "component")
_MOST_FILES = 150
"""Included files: GitLab's own limit."""
_DEEPEST = 11
"""Levels of `extends`: GitLab's own limit."""
_NESTED = 3
_MEMBERS = 100


class Pipeline:
    """The merged files of a pipeline; later definitions win, as in GitLab."""

    def __init__(self, documents: Sequence[Node], source: ListSource) -> None:
        self.problems: list[Item] = []
        self._root: dict[str, Node] = {}
        self._done: dict[str, Node] = {}
        self._top = _top(source)
        self._files: set[Path] = set()
        self._take(documents, source)

    @property
    def variables(self) -> Node | None:
        return self._root.get("variables")

    def jobs(self) -> Iterator[Node]:
        """Yield the jobs that can run, merged with what they extend; in a file without jobs one with the defaults."""
        found = [
            self._extended(name)
            for name, node in self._root.items()
            if name not in _NOT_JOBS and not name.startswith(".") and node.fields
        ]
        yield from (job for job in found if not job.get("trigger"))
        if not found and self._root:
            yield Node({}, "", 1)

    def of_job(self, job: Node, key: str) -> Node | None:
        """Return `image` or `services` of a job, or else the default of all jobs."""
        if key in job.fields:
            return self._resolved(job.fields[key], 0)
        if self._inherits(job, key):
            default = self._root.get("default")
            found = (default.get(key) if default else None) or self._root.get(key)
            return self._resolved(found, 0) if found else None
        return None

    def _take(self, documents: Sequence[Node], source: ListSource) -> None:
        for root in documents:
            include = root.get("include")
            for entry in (include.items or (include,)) if include else ():
                self._include(entry, source)
            for name, node in root.fields.items():
                old = self._root.get(name)
                self._root[name] = _over(node, old) if old and name != "include" else node

    def _include(self, entry: Node, source: ListSource) -> None:
        local = entry if entry.text is not None else entry.get("local")
        path = (local.text or "") if local else ""
        if local is None or path.startswith(("https://", "http://")):
            what = next((f"{key} {found.text or ''}" for key in _ELSEWHERE if (found := entry.get(key))), path)
            self.problems.append(Note(entry.source, f"include: {what.strip()}: not read, it is not in this repository"))
        elif "$" in path:
            self.problems.append(Note(entry.source, f"include: {path}: known only in the pipeline"))
        elif self._top is None:
            self.problems.append(BadLine(entry.source, path, "include: a list from a URL cannot include other files"))
        else:
            self._local(path.lstrip("/"), local, self._top, source)

    def _local(self, path: str, local: Node, top: Path, source: ListSource) -> None:
        try:
            found = sorted(top.glob(path)) if "*" in path else [top / path]
        except (ValueError, NotImplementedError):
            found = []
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
        job = self._done[name] = self._root[name]  # for a job that extends itself
        extends = job.get("extends")
        base: Node | None = None
        for parent in (extends.items or (extends,)) if extends and depth < _DEEPEST else ():
            if (parent.text or "") not in self._root:
                self.problems.append(Note(parent.source, f"extends {parent.text}: not in the files that were read"))
                continue
            laid = self._extended(parent.text or "", depth + 1)
            base = _over(laid, base) if base else laid
        self._done[name] = _over(job, base) if base else job
        return self._done[name]

    def _resolved(self, node: Node, depth: int) -> Node:
        """Resolve `!reference [job, key]`, also as an element of a list."""
        if node.tag == "!reference" and depth < _DEEPEST:
            names = [name.text or "" for name in node.items]
            found = self._extended(names[0]).get(*names[1:]) if names and names[0] in self._root else None
            return self._resolved(found, depth + 1) if found else Node(None, node.name, node.line)
        if isinstance(node.value, list) and depth < _NESTED:
            members: list[Node] = []
            for member in node.value[:_MEMBERS]:
                resolved = self._resolved(member, depth + 1)
                members.extend(resolved.items if isinstance(resolved.value, list) else [resolved])
            return Node(members, node.name, node.line)
        return node

    def _inherits(self, job: Node, key: str) -> bool:
        inherit = job.get("inherit", "default")
        if inherit is None or inherit.text == "true":
            return True
        return any(member.text == key for member in inherit.items)


def _over(node: Node, base: Node, depth: int = 0) -> Node:
    """Merge mappings key by key and replace all other values, as GitLab does."""
    if not node.fields or not base.fields or node.tag or base.tag or depth > _NESTED:
        return node
    fields = dict(base.fields)
    for key, each in node.fields.items():
        fields[key] = _over(each, fields[key], depth + 1) if key in fields else each
    return Node(fields, node.name, node.line)


def _top(source: ListSource) -> Path | None:
    """Return the top directory of the repository, to which local includes are relative; None for a URL."""
    if source.folder is None:
        return None
    here = source.folder.absolute()
    if source.file == _FILE:
        return here
    return next((each for each in (here, *here.parents) if (each / _FILE).exists() or (each / ".git").exists()), here)
