"""The builds of Compose files: arguments and contexts of the Dockerfiles that they name.

https://docs.docker.com/reference/compose-file/build/
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from puller.errors import ListError
from puller.imagelist.compose_cli import DEFAULT_NAMES
from puller.imagelist.compose_project import Project
from puller.imagelist.nodes import Node, load
from puller.imagelist.source import ListSource, read_file
from puller.imagelist.variables import expand


class Build(NamedTuple):
    """What is said of the build of a Dockerfile."""

    arguments: Mapping[str, str]
    contexts: Mapping[str, str]
    """The additional contexts: `docker-image://REFERENCE`, a path or a URL, by name."""
    name: str = ""
    """The service and its file, for messages."""
    made: frozenset[str] = frozenset()
    """The images that builds of the same project make."""


NO_BUILD = Build({}, {})


def builds_of(source: ListSource) -> Iterator[Build]:
    """Yield the builds of a Dockerfile in the Compose files of its directory and those above, up to `source.top`.

    Only Compose files with a default name are read, and none that has an error.
    """
    known = source.builds if source.builds is not None else {}
    for folder in (source.folder, *source.folder.parents) if source.folder is not None else ():
        if folder not in known:
            known[folder] = []
            with suppress(ListError):
                known[folder] = [*_builds_in(folder, source)]
        yield from (build for file, build in known[folder] if file == _normal(Path(source.name)))
        if folder == source.top:
            break


def _builds_in(folder: Path, source: ListSource) -> Iterator[tuple[str, Build]]:
    path = next((path for name in DEFAULT_NAMES if (path := folder / name).is_file()), None)
    if path is None:
        return
    documents = load(read_file(path, str(path)), str(path)).documents
    project = Project(documents, ListSource(str(path), folder, source.environment))
    services, values, made = project.services, project.environment, set()
    for service in services.values():
        with suppress(ValueError):
            made |= {expand(service.get("image").text or "", values).text} if service.get("build") else set()
    for name, service in services.items():
        build = service.get("build")
        with suppress(ValueError):
            context = expand(build.text or build.get("context").text or ".", values).text
            file = expand(build.get("dockerfile").text or "Dockerfile", values).text
            arguments, contexts = (_pairs(build.get(key), values) for key in ("args", "additional_contexts"))
            yield (
                _normal(folder / context / file),
                Build(arguments, contexts, f"service {name} in {path}", frozenset(made)),
            )


def _pairs(node: Node, values: Mapping[str, str]) -> dict[str, str]:
    """Read a mapping, or a list of NAME=VALUE; a name without a value has that of the environment."""
    pairs = [(name, each.text) for name, each in node.fields.items()]
    for item in node.items:
        name, equals, value = (item.text or "").partition("=")
        pairs.append((name, value if equals else None))
    found = ((name, values.get(name) if text is None else expand(text, values).text) for name, text in pairs)
    return {name: text for name, text in found if text is not None}


def _normal(path: Path) -> str:
    return os.path.normpath(path.absolute())
