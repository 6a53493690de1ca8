"""Compose files (https://docs.docker.com/reference/compose-file/): what `docker compose pull` would pull.

That is: the services of the active profiles, with `image`, except those whose `pull_policy` forbids it. A service with
both `image` and `build` is pulled, as compose tries to; one with `build` alone is not.

Where docker compose is installed its answer decides. Our own reading is for a single plain file, and knows the lines;
what several files, `extends` or `include` make only docker compose knows.
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
    "or pipe what `docker compose config` prints into puller"
)


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Whether this has services, or the name of a Compose file and what version 1 of the format had."""
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
    """Whether Compose would write an include like this; GitLab has other keys, and paths from the top."""
    text = include.text or ""
    return include.get("path") is not None or bool(text and not text.startswith(("/", "http:", "https:")))


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:
    """Yield the image of every active service, in the order of the file."""
    project = _Project(documents, source)
    beyond_us = project.beyond_us
    ours = {name: [*images_of(name, service, project.enabled)] for name, service in project.services.items()}
    try:
        theirs = project.ask(needed=beyond_us is not None)
    except ValueError as refusal:
        if beyond_us:
            yield from _without_variables(project, refusal)
        else:
            yield from _alone(source, [*chain.from_iterable(ours.values())], refusal)
        return
    if theirs is None:
        yield from [beyond_us] if beyond_us else chain.from_iterable(ours.values())
        return
    for name in ours | theirs:
        yield from _agreed(name, ours.get(name, []), theirs.get(name), is_plain=beyond_us is None)


def _alone(source: ListSource, ours: list[Item], refusal: ValueError) -> Iterator[Item]:
    """Keep what we have read; a refusal that concerns no image is a note."""
    text = f"read by puller alone: {refusal}"
    if not ours:
        yield BadLine(Source(source.name), "", text)
    elif not any(isinstance(item, BadLine) for item in ours):
        yield Note(Source(source.name), text)
    yield from ours


def _without_variables(project: "_Project", refusal: ValueError) -> Iterator[Item]:
    """Have the files merged by docker compose and fill in the variables here: one that is missing may not matter."""
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
        yield Note(source, f"variables filled in by puller alone: {refusal}")
    yield from found


def _agreed(name: str, ours: list[Item], theirs: Service | None, *, is_plain: bool) -> Iterator[Item]:
    """Take what docker compose says of a service; where a plain file means the same to us, our notes say more."""
    if theirs is None:
        first = next((item for item in ours if not isinstance(item, Note)), None)
        yield from [Note(first.source, f"service {name}: left out, as docker compose leaves it out")] if first else ours
        return
    said = [*images_of(name, theirs, {ALL_PROFILES})]
    yield from ours if is_plain and ours and _meaning(ours) == _meaning(said) else said


def _meaning(items: list[Item]) -> list[tuple[ImageReference, Platform | None] | None]:
    """Reduce items to what is pulled; None stands for what cannot be."""
    return [
        (item.reference, item.platform) if isinstance(item, Entry) else None
        for item in items
        if not isinstance(item, Note)
    ]


class _Project:
    """The files that docker compose would take for one project, and our own reading of the first."""

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
    def beyond_us(self) -> BadLine | None:
        """Say what makes this more than a single plain file; None where nothing does."""
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
        """Ask docker compose for the services; None where it cannot be asked, or need not be.

        A list that came through a pipe cannot be read again. Raises ValueError with the reason of a refusal.
        """
        options = self.source.compose
        files = [Path(self.source.name), *([self._override] if self._override else ())]
        if options.ask is None or (options.only_if_needed and not needed) or not all(map(Path.is_file, files)):
            return None
        said = options.ask(files, options.profiles, interpolate=interpolate)
        if said is None:
            return None
        try:
            services = json.loads(said)["services"].items()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ValueError("docker compose did not print a project") from None
        # Its answer is a Compose file, too: `$$` stands for a dollar sign.
        environment = {} if interpolate else self._environment
        written = self._written()
        return {
            name: self._located(name, fields, environment, written)
            for name, fields in services
            if isinstance(fields, dict)
        }

    def _written(self) -> list[dict[str, Service]]:
        """Return the services as they are written: of the override file first, which wins, and of the last document."""
        roots = [*self._roots]
        if self._override:
            name = self.source.name.removesuffix(self.source.file) + self._override.name
            with suppress(ListError):
                roots += nodes.load(read_file(self._override, name), name).documents
        return [services_of(root, {}) for root in reversed(roots)]

    def _located(
        self, name: str, answer: Mapping[str, Any], environment: Mapping[str, str], written: list[dict[str, Service]]
    ) -> Service:
        """Put what docker compose says of a service where it is written, or else at the include or the top."""
        places = [services[name] for services in written if name in services]
        include = next((found for root in self._roots if (found := root.get("include"))), None)
        where = places[0].source if places else include.source if include else Source(self.source.name, 1)
        fields = {}
        for key, value in answer.items():
            source = next((place.fields[key].source for place in places if key in place.fields), where)
            fields[key] = _node(value, source)
        return Service(fields, where, environment)


def _override_of(source: ListSource) -> Path | None:
    """Return the override file that docker compose would read beside this one."""
    if source.folder is None or source.file not in DEFAULT_NAMES:
        return None
    paths = (source.folder / name for name in OVERRIDES)
    return next((path for path in paths if path.is_file()), None)


def _with_project_name(
    documents: Sequence[Node], folder: Path | None, environment: Mapping[str, str]
) -> Mapping[str, str]:
    """Add the project's name, which image names may contain: the written one, or else that of the folder.

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
