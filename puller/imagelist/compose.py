"""Compose files (https://docs.docker.com/reference/compose-file/): the images that `docker compose pull` would pull.

These are the images of the services in active profiles, unless their `pull_policy` forbids it. A service with `image`
and `build` is pulled, one with `build` alone is not.

If docker compose is installed, its answer decides. puller itself reads a single plain file, and knows the line numbers;
`extends`, `include` and override files need docker compose.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from puller.errors import ListError
from puller.image.reference import ImageReference, Platform
from puller.imagelist import dotenv, nodes
from puller.imagelist.compose_cli import DEFAULT_NAMES, OVERRIDES
from puller.imagelist.compose_services import ALL_PROFILES, TOP_LEVEL, Service, images_of, services_of
from puller.imagelist.entry import BadLine, Entry, Item, Note, Source
from puller.imagelist.nodes import Node
from puller.imagelist.source import ListSource, read_file
from puller.imagelist.variables import expand

_NAMES = ("compose", "docker-compose", "docker-stack")
_PROJECT_NAME = "COMPOSE_PROJECT_NAME"
_NOT_IN_A_NAME = re.compile(r"[^-_a-z0-9]")
_NEEDED = (
    "needs docker compose: install its plugin (package docker-compose-plugin), "
    "or pipe the output of `docker compose config` into puller"
)


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Tell whether a document has services, or the file has the name of a Compose file and the keys of version 1."""
    named = source.file.startswith(_NAMES)
    return any(_is_compose(document, named=named) for document in documents)


def _is_compose(root: Node, *, named: bool) -> bool:
    services = root.get("services")
    if services and services.value != {}:
        return bool(services.fields) and all(
            service.fields or not service.value for service in services.fields.values()
        )
    own = all(key in TOP_LEVEL or key.startswith("x-") for key in root.fields)
    if own and ("services" in root.fields or (include := root.get("include"))):
        return "services" in root.fields or named or bool(include and all(map(_is_path, include.items)))
    return named and any(service.get("image") or service.get("build") for service in root.fields.values())


def _is_path(include: Node) -> bool:
    """Tell whether this is an include of Compose; GitLab uses other keys, and absolute paths."""
    text = include.text or ""
    return include.get("path") is not None or bool(text and not text.startswith(("/", "http:", "https:")))


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:
    """Yield the image of every active service, in the order of the file."""
    project = _Project(documents, source)
    problem = project.needs_compose
    own = {name: [*images_of(name, service, project.enabled)] for name, service in project.services.items()}
    try:
        answer = project.ask(needed=problem is not None)
    except ValueError as refusal:
        if problem:
            yield from _without_variables(project, refusal)
        else:
            yield from _without_compose(source, [*chain.from_iterable(own.values())], refusal)
        return
    if answer is None:
        yield from [problem] if problem else chain.from_iterable(own.values())
        return
    for name in own | answer:
        yield from _combined(name, own.get(name, []), answer.get(name), is_plain=problem is None)


def _without_compose(source: ListSource, own: list[Item], refusal: ValueError) -> Iterator[Item]:
    """Use our own reading; the error of docker compose is a note if it concerns no image."""
    text = f"read without docker compose: {refusal}"
    if not own:
        yield BadLine(Source(source.name), "", text)
    elif not any(isinstance(item, BadLine) for item in own):
        yield Note(Source(source.name), text)
    yield from own


def _without_variables(project: "_Project", refusal: ValueError) -> Iterator[Item]:
    """Let docker compose merge the files, and expand the variables here: a missing one may concern no image."""
    source = Source(project.source.name)
    try:
        services = project.ask(needed=True, interpolate=False)
    except ValueError:
        services = None
    if services is None:
        yield BadLine(source, "", str(refusal))
        return
    found = [item for name, service in services.items() for item in images_of(name, service, project.enabled)]
    if not any(isinstance(item, BadLine) for item in found):
        yield Note(source, f"variables expanded without docker compose: {refusal}")
    yield from found


def _combined(name: str, own: list[Item], answer: Service | None, *, is_plain: bool) -> Iterator[Item]:
    """Use docker compose's answer for a service, or our own reading where both agree, as it has more notes."""
    if answer is None:
        first = next((item for item in own if not isinstance(item, Note)), None)
        yield from [Note(first.source, f"service {name}: left out, as docker compose leaves it out")] if first else own
        return
    answered = [*images_of(name, answer, {ALL_PROFILES})]
    yield from own if is_plain and own and _meaning(own) == _meaning(answered) else answered


def _meaning(items: list[Item]) -> list[tuple[ImageReference, Platform | None] | None]:
    """Reduce items to what is pulled; None stands for a bad line."""
    return [
        (item.reference, item.platform) if isinstance(item, Entry) else None
        for item in items
        if not isinstance(item, Note)
    ]


class _Project:
    """The files of one Compose project, and our own reading of the first one."""

    def __init__(self, documents: Sequence[Node], source: ListSource) -> None:
        self.source = source
        self._roots = [document for document in documents if document.fields]
        self._override = _override_of(source)
        environment = source.environment
        if source.folder is not None:
            environment = {**dotenv.read(source.folder / ".env", environment), **environment}
        self._environment = _with_project_name(documents, source.folder, environment)
        usual = [profile.strip() for profile in environment.get("COMPOSE_PROFILES", "").split(",")]
        self.enabled = set(source.compose.profiles or filter(None, usual))
        self.services: dict[str, Service] = {}
        for root in self._roots:
            self.services |= services_of(root, self._environment)

    @property
    def needs_compose(self) -> BadLine | None:
        """The reason why only docker compose can read this project; None for a single plain file."""
        include = next((found for root in self._roots if (found := root.get("include"))), None)
        extends = next((found for service in self.services.values() if (found := service.get("extends"))), None)
        if node := include or extends:
            return BadLine(node.source, "", f"{'include' if include else 'extends'} {_NEEDED}")
        if len(self._roots) > 1:
            return BadLine(self._roots[1].source, "", f"a second document {_NEEDED}")
        if self._override:
            return BadLine(Source(self.source.name), "", f"the override file {self._override.name} {_NEEDED}")
        return None

    def ask(self, *, needed: bool, interpolate: bool = True) -> dict[str, Service] | None:
        """Ask docker compose for the services; None where it is not available or not `needed`.

        A list from a pipe cannot be read twice. Raises ValueError with the error of docker compose.
        """
        options = self.source.compose
        files = [Path(self.source.name), *([self._override] if self._override else ())]
        if options.ask is None or (options.only_if_needed and not needed) or not all(map(Path.is_file, files)):
            return None
        answer = options.ask(files, options.profiles, interpolate=interpolate)
        if answer is None:
            return None
        try:
            services = json.loads(answer)["services"].items()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ValueError("docker compose did not print a project") from None
        # The answer is itself a Compose file: `$$` is a dollar sign.
        environment = {} if interpolate else self._environment
        written = self._written()
        return {
            name: self._located(name, fields, environment, written)
            for name, fields in services
            if isinstance(fields, dict)
        }

    def _written(self) -> list[dict[str, Service]]:
        """Return the services as written: those of the override file first, then those of the last document."""
        roots = [*self._roots]
        if self._override:
            name = self.source.name.removesuffix(self.source.file) + self._override.name
            with suppress(ListError):
                roots += nodes.load(read_file(self._override, name), name).documents
        return [services_of(root, {}) for root in reversed(roots)]

    def _located(
        self, name: str, answer: Mapping[str, Any], environment: Mapping[str, str], written: list[dict[str, Service]]
    ) -> Service:
        """Give each field of an answer its line in the files, or else that of the include or the first line."""
        places = [services[name] for services in written if name in services]
        include = next((found for root in self._roots if (found := root.get("include"))), None)
        where = places[0].source if places else include.source if include else Source(self.source.name, 1)
        fields = {}
        for key, value in answer.items():
            source = next((place.fields[key].source for place in places if key in place.fields), where)
            fields[key] = _node(value, source)
        return Service(fields, where, environment)


def _override_of(source: ListSource) -> Path | None:
    """Return the override file that docker compose would read with this one."""
    if source.folder is None or source.file not in DEFAULT_NAMES:
        return None
    paths = (source.folder / name for name in OVERRIDES)
    return next((path for path in paths if path.is_file()), None)


def _with_project_name(
    documents: Sequence[Node], folder: Path | None, environment: Mapping[str, str]
) -> Mapping[str, str]:
    """Add the project name, which image names may contain: the `name` of the file, or else that of its directory.

    https://docs.docker.com/compose/how-tos/project-name/
    """
    names = (root.get("name") for root in documents)
    written = next((name.text for name in names if name and name.text), "")
    try:
        name = expand(written, environment).text
    except ValueError:
        name = ""
    if not name and folder is not None:
        name = _NOT_IN_A_NAME.sub("", folder.absolute().name.lower()).lstrip("_-")
    return {_PROJECT_NAME: name, **environment} if name else environment


def _node(value: Any, source: Source) -> Node:
    """Make a node from JSON."""
    if isinstance(value, list):
        value = [_node(each, source) for each in value]
    elif isinstance(value, dict):
        value = {key: _node(each, source) for key, each in value.items()}
    elif value is not None and not isinstance(value, str):
        value = json.dumps(value)
    return Node(value, source.name, source.line or 1)
