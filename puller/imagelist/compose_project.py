"""A Compose project put together from its files: override files, `extends` and `include`, as compose does.

https://docs.docker.com/reference/compose-file/ (merge, include; services: extends)
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from puller.errors import ListError
from puller.imagelist import dotenv
from puller.imagelist.compose_environment import with_dotenv, with_name
from puller.imagelist.compose_service import RESET, Service, lay, services_of
from puller.imagelist.entry import BadLine, Item, Source
from puller.imagelist.origin import Origin, read_whole
from puller.imagelist.variables import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from puller.imagelist.nodes import Node


DEFAULT_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""What compose takes for a project when no file is named."""
OVERRIDES = (
    "compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml",
)  # fmt: skip
"""Read beside a file of a default name, the first that is there."""
_MOST_FILES = 1000
_LONGEST_CHAIN = 50
_REMOTE = ("oci://", "https://", "http://", "ssh://", "git@", "github.com/", "git://")


class Project:
    """Reads the files of one project, and remembers what was wrong with them."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self.problems: list[Item] = []
        self.files: list[Path] = [Path(origin.name)]
        """What compose would be given with `-f`: the file, and its override file."""
        self.environment: Mapping[str, str] = with_dotenv(origin.folder, origin.environment)
        self._files = 0
        self._known: dict[Path, Sequence[Node]] = {}

    def load(self, documents: "Sequence[Node]") -> dict[str, Service]:
        """Merge the documents of the project's file, and its override file where compose would take one."""
        self.environment = with_name(documents, self._origin.folder, self.environment)
        services = self._file(documents, self._origin, self.environment, (os.path.normpath(self._origin.name),))
        for name in OVERRIDES if self._origin.file in DEFAULT_NAMES else ():
            path = self._origin.beside(name)
            if path and path.is_file():
                self.files.append(path)
                shown = self._origin.name.removesuffix(self._origin.file) + name
                origin = Origin(shown, self._origin.folder, self._origin.environment)
                loaded = self._read(path, origin, Source(shown))
                lay(services, self._file(loaded, origin, self.environment, (shown,)))
                break
        return {name: service for name, service in services.items() if service.tag != RESET}

    def _file(
        self, documents: "Sequence[Node]", origin: Origin, environment: "Mapping[str, str]", chain: tuple[str, ...]
    ) -> dict[str, Service]:
        merged: dict[str, Service] = {}
        for root in documents:
            own = services_of(root, environment)
            services = {name: self._extended(name, own, origin, ()) for name in own}
            include = root.get("include")
            for entry in include.items if include else ():
                for name, service in self._included(entry, origin, environment, chain).items():
                    merged.setdefault(name, service)
            lay(merged, services)
        return merged

    def _included(
        self, entry: "Node", origin: Origin, environment: "Mapping[str, str]", chain: tuple[str, ...]
    ) -> dict[str, Service]:
        """Read the files of one `include`: several are laid over each other, with a `.env` of their own."""
        paths = entry.get("path") or entry
        found: dict[str, Service] = {}
        inner: Mapping[str, str] | None = None
        for node in paths.items or (paths,):
            path = self._path(node, origin, environment, "include")
            if path is None or origin.folder is None:
                continue
            beside = _origin_of(path, origin)
            if beside.name in chain or len(chain) > _LONGEST_CHAIN:
                self.problems.append(BadLine(node.source, path, "includes itself, or far too many others"))
                continue
            inner = inner or self._variables(entry, origin, beside, environment)
            documents = self._read(origin.folder / path, beside, node.source)
            lay(found, self._file(documents, beside, inner, (*chain, beside.name)))
        return found

    def _variables(
        self, entry: "Node", origin: Origin, beside: Origin, environment: "Mapping[str, str]"
    ) -> "Mapping[str, str]":
        """Give an included file its variables: those of its `.env` or `env_file`, unless we have them already."""
        written = entry.get("env_file")
        if written is None or origin.folder is None:
            directory = entry.get("project_directory")
            folder = origin.beside(directory.text) if directory and directory.text else beside.folder
            return with_dotenv(folder, environment)
        found: dict[str, str] = {}
        for node in written.items or (written,):
            if node.text:
                found |= dotenv.read(origin.folder / node.text, {**found, **environment})
        return {**found, **environment}

    def _extended(self, name: str, own: "Mapping[str, Service]", origin: Origin, chain: tuple[str, ...]) -> Service:
        """Lay a service over the one that it extends."""
        service = own[name]
        extends = service.get("extends")
        if extends is None:
            return service
        base = extends if extends.text else extends.get("service")
        file = extends.get("file")
        here = f"{origin.name}#{name}"
        if base is None or not base.text or here in chain or len(chain) > _LONGEST_CHAIN:
            what = "nothing" if not chain else "itself" if here in chain else f"more than {_LONGEST_CHAIN} others"
            self.problems.append(BadLine(extends.source, name, f"extends {what}"))
            return service
        there, services = origin, own
        if file is not None:
            path = self._path(file, origin, service.environment, "extends")
            if path is None or origin.folder is None:
                return service
            there = _origin_of(path, origin)
            services = self._all(self._read(origin.folder / path, there, file.source), service.environment)
            if not services:
                return service
        if base.text not in services:
            self.problems.append(BadLine(base.source, base.text, f"{there.name} has no such service"))
            return service
        return service.over(self._extended(base.text, services, there, (*chain, here)))

    def _all(self, documents: "Sequence[Node]", environment: "Mapping[str, str]") -> dict[str, Service]:
        merged: dict[str, Service] = {}
        for root in documents:
            lay(merged, services_of(root, environment))
        return merged

    def _path(self, node: "Node", origin: Origin, environment: "Mapping[str, str]", what: str) -> str | None:
        """Read the name of another file; None, and a problem, where it cannot be read from here."""
        try:
            path = expand(node.text or "", environment).text
        except ValueError as error:
            self.problems.append(BadLine(node.source, node.text or "", str(error)))
            return None
        if path.startswith(_REMOTE) or ".git#" in path:
            self.problems.append(BadLine(node.source, path, f"{what}: fetch it first, only local files are read"))
        elif origin.folder is None:
            self.problems.append(BadLine(node.source, path, f"{what}: a list from a URL cannot name other files"))
        elif not path:
            self.problems.append(BadLine(node.source, "", f"{what}: expected the path of a file"))
        else:
            return path
        return None

    def _read(self, path: Path, origin: Origin, wanted_by: Source) -> "Sequence[Node]":
        from puller.imagelist.kinds import load  # noqa: PLC0415 - which imports us

        self._files += 1
        if path in self._known:
            return self._known[path] if self._files <= _MOST_FILES else ()
        self._known[path] = ()
        try:
            if self._files > _MOST_FILES:
                raise ListError([f"{origin.name}: more than {_MOST_FILES} files"])  # noqa: TRY301 - one way out
            parsed = load(read_whole(path, origin.name), origin)
        except ListError as error:
            self.problems.append(BadLine(wanted_by, "", str(error)))
            return ()
        self.problems.extend(
            BadLine(key.source, "", f"the key {key.key} stood on line {key.first} already: remove one")
            for key in parsed.repeated
        )
        if parsed.problem:
            self.problems.append(parsed.problem)
        self._known[path] = parsed.documents
        return parsed.documents


def _origin_of(path: str, origin: Origin) -> Origin:
    shown = os.path.normpath(os.path.join(os.path.dirname(origin.name), path))  # noqa: PTH118, PTH120 - as typed
    folder = origin.folder / Path(path).parent if origin.folder is not None else None
    return Origin(shown, folder, origin.environment)
