"""The files of a Compose project, merged by puller and, if it is installed, by docker compose."""

import json
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from puller.imagelist.compose_cli import DEFAULT_NAMES, OVERRIDES
from puller.imagelist.entry import BadLine, Source
from puller.imagelist.nodes import MISSING, Node, load
from puller.imagelist.source import ListSource, read_file
from puller.imagelist.variables import expand, read_dotenv
from puller.text import clean

TOP_LEVEL = {"version", "name", "include", "services", "networks", "volumes", "secrets", "configs", "models"}
"""The keys at the top of a Compose file, extensions (`x-…`) aside."""
ALL_PROFILES = "*"
_PLATFORM = "DOCKER_DEFAULT_PLATFORM"
_RESET = "!reset"
"""The tag of what an override file removes."""
_TAGS = {_RESET, "!override"}
"""The tags of values that are not merged."""
_NEEDED = (
    "needs docker compose: install its plugin (package docker-compose-plugin), "
    "or pipe the output of `docker compose config` into puller"
)


class Project:
    """The files of one Compose project, and our own reading of them."""

    def __init__(self, documents: Sequence[Node], source: ListSource) -> None:
        self.source = source
        self._roots = [document for document in documents if document.fields]
        self._include = next(filter(None, (root.get("include") for root in self._roots)), None)
        folder = source.folder if source.file in DEFAULT_NAMES and not source.overrides else None
        usual = [path for name in OVERRIDES if folder and (path := folder / name).is_file()][:1]
        self._overrides = [*source.overrides, *usual]
        """The other files, also the override file that docker compose would read with this one."""
        self.problem: BadLine | None = None
        """The reason why only docker compose can read this project; None if puller can."""
        for path in self._overrides:
            parsed = load(read_file(path, self._name(path)), self._name(path))
            self._roots += [document for document in parsed.documents if document.fields]
            self.problem = self.problem or parsed.problem
        self.environment = self._variables()
        profiles = [profile.strip() for profile in self.environment.get("COMPOSE_PROFILES", "").split(",")]
        platform = None if _PLATFORM in source.environment else self.environment.get(_PLATFORM)
        active = source.selection.profiles or tuple(filter(None, profiles))
        self.selection = source.selection._replace(profiles=active, platform=platform)
        self.services = _merged(self._roots)
        self.problem = self.problem or self._problem()

    def _name(self, path: Path) -> str:
        """Return the name of another file of the project in messages, like that of the first one."""
        near = path.parent == self.source.folder
        return self.source.name.removesuffix(self.source.file) + path.name if near else str(path)

    def _variables(self) -> Mapping[str, str]:
        """Return the environment with the `.env` file, and the project name, which image names may contain.

        It is the `name` of the file, or else that of its directory: https://docs.docker.com/compose/how-tos/project-name/
        """
        environment, folder, name = self.source.environment, self.source.folder, ""
        if folder is not None:
            environment = {**read_dotenv(folder, environment), **environment}
        with suppress(ValueError):
            name = expand(next(filter(None, (root.get("name").text for root in self._roots)), ""), environment).text
        if not name and folder is not None:
            name = re.sub(r"[^-_a-z0-9]", "", folder.absolute().name.lower()).lstrip("_-")
        return {"COMPOSE_PROJECT_NAME": name, **environment} if name else environment

    def _problem(self) -> BadLine | None:
        extends = next(filter(None, (service.get("extends") for service in self.services.values())), None)
        if node := self._include or extends:
            return BadLine(node.source, "", f"{'include' if self._include else 'extends'} {_NEEDED}")
        return None

    def ask(self, *, interpolate: bool = True) -> dict[str, Node] | None:
        """Ask docker compose for the services; None where it is not available or not needed.

        A list from a pipe cannot be read twice. Raises ValueError with the error of docker compose.
        """
        source, files = self.source, [Path(self.source.name), *self._overrides]
        if source.compose is None or (source.only_if_needed and not self.problem) or not all(map(Path.is_file, files)):
            return None
        self._check_files()
        chosen = source.selection
        profiles = (ALL_PROFILES,) if chosen.services else chosen.profiles  # a named service needs no profile
        answer = source.compose(files, profiles, interpolate=interpolate)
        if answer is None:
            return None
        try:
            services = json.loads(answer)["services"].items()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ValueError("docker compose did not print a project") from None
        return self._located({name: fields for name, fields in services if isinstance(fields, dict)})

    def _check_files(self) -> None:
        """Raise ValueError for a FIFO or a device in `include` or `extends`: reading it may never end."""
        included = [root.get("include") for root in self._roots]
        entries = [each for node in included for each in node.items or [node]]
        named = [each.get("path") or each for each in entries]
        named += [service.get("extends").get("file") for service in self.services.values()]
        for node in (each for part in named for each in part.items or [part] if each.text):
            with suppress(OSError):
                if not stat.S_ISREG(((self.source.folder or Path()) / (node.text or "")).stat().st_mode):
                    raise ValueError(f"{clean(node.text or '')}: not a regular file")

    def _located(self, answer: Mapping[str, Mapping[str, Any]]) -> dict[str, Node]:
        """Give each field its place in the files; that of the include where they do not have its service."""
        first = self._include.source if self._include else Source(self.source.name, 1)
        found = {}
        for service, fields in answer.items():
            own = self.services.get(service, Node(None, first))
            nodes = {key: _node(value, (own.get(key) or own).source) for key, value in fields.items()}
            found[service] = Node(nodes, own.source)
        return found


def _node(value: Any, source: Source) -> Node:
    """Make a node from JSON."""
    if isinstance(value, list):
        value = [_node(each, source) for each in value]
    elif isinstance(value, dict):
        value = {key: _node(each, source) for key, each in value.items()}
    elif value is not None and not isinstance(value, str):
        value = json.dumps(value)
    return Node(value, source)


def _services_of(root: Node) -> dict[str, Node]:
    """Return the services of a document; version 1 of the format has them at the top level."""
    found = root.get("services").fields
    if not root.fields.keys() & TOP_LEVEL:
        services = ((key, each) for key, each in root.fields.items() if key[:2] != "x-")
        found = {key: each for key, each in services if each.get("image") or each.get("build")}
    return dict(found)


def _merged(roots: Sequence[Node]) -> dict[str, Node]:
    """Merge the services of a project as https://docs.docker.com/reference/compose-file/merge/ says."""
    services: dict[str, Node] = {}
    for root in roots:
        for name, service in _services_of(root).items():
            fields = {} if service.tag in _TAGS else dict(services.get(name, MISSING).fields)
            for key, node in service.fields.items():
                below = fields.get(key, MISSING)
                if node.tag == _RESET:
                    fields.pop(key, None)
                elif below.items and node.items and node.tag not in _TAGS:
                    fields[key] = Node([*below.items, *node.items], node.source)
                elif node or not below:  # null changes nothing
                    fields[key] = node
            services[name] = Node(fields, services.get(name, service).source)
            if service.tag == _RESET:
                del services[name]
    return services
