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
from puller.imagelist.compose_cli import DEFAULT_NAMES, OVERRIDES
from puller.imagelist.entry import BadLine, Entry, Item, Note, Source, entry_of
from puller.imagelist.nodes import Node, load
from puller.imagelist.source import ListSource, read_file
from puller.imagelist.variables import Expanded, expand, read_dotenv

_TOP_LEVEL = {"version", "name", "include", "services", "networks", "volumes", "secrets", "configs", "models"}
"""The keys at the top of a Compose file, extensions (`x-…`) aside."""
_ALL_PROFILES = "*"
_NEVER_PULLED = {"never", "build"}
_RESET = "!reset"
"""The tag of what an override file removes."""
_NAMES = ("compose", "docker-compose", "docker-stack")
_NEEDED = (
    "needs docker compose: install its plugin (package docker-compose-plugin), "
    "or pipe the output of `docker compose config` into puller"
)


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Tell whether a document has services, or the file has the name of a Compose file and the keys of version 1."""
    named = source.file.startswith(_NAMES)
    return any(_is_compose(document, named=named) for document in documents)


def _is_compose(root: Node, *, named: bool) -> bool:
    services, include = root.get("services"), root.get("include")
    if services and services.value != {}:
        return bool(services.fields) and all(
            service.fields or not service.value for service in services.fields.values()
        )
    own = all(key in _TOP_LEVEL or key.startswith("x-") for key in root.fields)
    if own and ("services" in root.fields or include):
        return "services" in root.fields or named or all(map(_is_path, include.items))
    return named and any(service.get("image") or service.get("build") for service in root.fields.values())


def _is_path(include: Node) -> bool:
    """Tell whether this is an include of Compose; GitLab uses other keys, and absolute paths."""
    text = include.text or ""
    return bool(include.get("path") or (text and not text.startswith(("/", "http:", "https:"))))


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:
    """Yield the image of every active service, in the order of the file."""
    project = _Project(documents, source)
    own = {name: project.images(name, service) for name, service in project.services.items()}
    alone: list[Item] = [project.problem] if project.problem else [*chain.from_iterable(own.values())]
    try:
        answer = project.ask()
    except ValueError as refusal:
        yield from _refused(project, alone, refusal)
        return
    if answer is None:
        yield from alone
        return
    for name in own | answer:
        yield from _combined(name, own.get(name, []), answer.get(name), is_plain=project.problem is None)


def _refused(project: "_Project", found: list[Item], refusal: ValueError) -> Iterator[Item]:
    """Use our own reading; the error of docker compose is a note if it concerns no image."""
    text = f"read without docker compose: {refusal}"
    if project.problem:
        # Let docker compose merge the files, and expand the variables here: a missing one may concern no image.
        text, services = f"variables expanded without docker compose: {refusal}", None
        with suppress(ValueError):
            services = project.ask(interpolate=False)
        found = [item for name, service in (services or {}).items() for item in project.images(name, service)]
    source = Source(project.source.name)
    if not found:
        yield BadLine(source, "", str(refusal) if project.problem else text)
    elif not any(isinstance(item, BadLine) for item in found):
        yield Note(source, text)
    yield from found


def _combined(name: str, own: list[Item], answer: Node | None, *, is_plain: bool) -> list[Item]:
    """Use docker compose's answer for a service, or our own reading where both agree, as it has more notes."""
    if answer is None:
        first = next((item for item in own if not isinstance(item, Note)), None)
        return [Note(first.source, f"service {name}: left out, as docker compose leaves it out")] if first else own
    # The answer is itself a Compose file: `$$` is a dollar sign.
    answered = [*_images_of(name, answer, {}, {_ALL_PROFILES})]
    return own if is_plain and own and _meaning(own) == _meaning(answered) else answered


def _meaning(items: list[Item]) -> list[Any]:
    """Reduce items to what is pulled, references and platforms; None stands for a bad line."""
    return [item[:2] if isinstance(item, Entry) else None for item in items if not isinstance(item, Note)]


class _Project:
    """The files of one Compose project, and our own reading of the first one."""

    def __init__(self, documents: Sequence[Node], source: ListSource) -> None:
        self.source = source
        self._roots = [document for document in documents if document.fields]
        self._include = next(filter(None, (root.get("include") for root in self._roots)), None)
        folder = source.folder if source.file in DEFAULT_NAMES else None
        self._overrides = [path for name in OVERRIDES if folder and (path := folder / name).is_file()][:1]
        """The override file that docker compose would read with this one, if there is one."""
        self._environment = self._variables()
        usual = [profile.strip() for profile in self._environment.get("COMPOSE_PROFILES", "").split(",")]
        self._enabled = set(source.profiles or filter(None, usual))
        self.services = {name: each for root in self._roots for name, each in _services_of(root).items()}
        self.problem = self._problem()
        """The reason why only docker compose can read this project; None for a single plain file."""

    def _variables(self) -> Mapping[str, str]:
        """Return the environment with the `.env` file, and the project name, which image names may contain.

        It is the `name` of the file, or else that of its directory: https://docs.docker.com/compose/how-tos/project-name/
        """
        environment, folder, name = self.source.environment, self.source.folder, ""
        if folder is not None:
            environment = {**read_dotenv(folder / ".env", environment), **environment}
        with suppress(ValueError):
            name = expand(next(filter(None, (root.get("name").text for root in self._roots)), ""), environment).text
        if not name and folder is not None:
            name = re.sub(r"[^-_a-z0-9]", "", folder.absolute().name.lower()).lstrip("_-")
        return {"COMPOSE_PROJECT_NAME": name, **environment} if name else environment

    def _problem(self) -> BadLine | None:
        extends = next(filter(None, (service.get("extends") for service in self.services.values())), None)
        if node := self._include or extends:
            return BadLine(node.source, "", f"{'include' if self._include else 'extends'} {_NEEDED}")
        if len(self._roots) > 1:
            return BadLine(self._roots[1].source, "", f"a second document {_NEEDED}")
        if self._overrides:
            return BadLine(Source(self.source.name), "", f"the override file {self._overrides[0].name} {_NEEDED}")
        return None

    def images(self, name: str, service: Node) -> list[Item]:
        return [*_images_of(name, service, self._environment, self._enabled)]

    def ask(self, *, interpolate: bool = True) -> dict[str, Node] | None:
        """Ask docker compose for the services; None where it is not available or not needed.

        A list from a pipe cannot be read twice. Raises ValueError with the error of docker compose.
        """
        source, files = self.source, [Path(self.source.name), *self._overrides]
        if source.compose is None or (source.only_if_needed and not self.problem) or not all(map(Path.is_file, files)):
            return None
        answer = source.compose(files, source.profiles, interpolate=interpolate)
        if answer is None:
            return None
        try:
            services = json.loads(answer)["services"].items()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ValueError("docker compose did not print a project") from None
        return self._located({name: fields for name, fields in services if isinstance(fields, dict)})

    def _located(self, answer: Mapping[str, Mapping[str, Any]]) -> dict[str, Node]:
        """Give each field its place in the override file or else the last document; or that of the include."""
        roots = [*self._roots]
        for path in self._overrides:
            name = self.source.name.removesuffix(self.source.file) + path.name
            with suppress(ListError):
                roots += load(read_file(path, name), name).documents
        written = [_services_of(root) for root in reversed(roots)]
        first = self._include.source if self._include else Source(self.source.name, 1)
        found = {}
        for service, fields in answer.items():
            places = [services[service] for services in written if service in services]
            where = places[0].source if places else first
            sources = {key: each.source for place in reversed(places) for key, each in place.fields.items()}
            found[service] = Node({key: _node(value, sources.get(key, where)) for key, value in fields.items()}, where)
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
    if not root.fields.keys() & _TOP_LEVEL:
        services = ((key, each) for key, each in root.fields.items() if key[:2] != "x-")
        found = {key: each for key, each in services if each.get("image") or each.get("build")}
    return {
        name: Node({key: each for key, each in service.fields.items() if each.tag != _RESET}, service.source)
        for name, service in found.items()
        if service.tag != _RESET
    }


def _images_of(name: str, service: Node, environment: Mapping[str, str], enabled: set[str]) -> Iterator[Item]:
    """Yield the images of a service when these profiles are enabled, or notes about why there are none.

    `environment` has the values of variables.
    """
    try:
        profiles = [_expanded(profile, environment).text for profile in service.get("profiles").items]
        if profiles and _ALL_PROFILES not in enabled and not enabled & set(profiles):
            which = " or ".join(f"--profile {profile}" for profile in profiles)
            yield Note(service.source, f"service {name}: left out, its profile is not active ({which})")
            return
        policy = service.get("pull_policy")
        if policy and _expanded(policy, environment).text in _NEVER_PULLED:
            yield Note(policy.source, f"service {name}: pull_policy: {policy.text}, nothing to pull")
            return
    except _UnreadableError as error:
        yield error.args[0]
        return
    image, build = service.get("image"), service.get("build")
    if not image:
        what = "only build:" if build else "neither image: nor build:"
        yield Note(service.source, f"service {name}: {what}, nothing to pull")
    else:
        if build:
            yield Note(image.source, f"service {name}: has build: as well; the image is pulled")
        yield from _entry([image, service.get("platform")], environment)
    for volume in service.get("volumes").items:
        if volume.get("type").text == "image" and (image := volume.get("source")):
            yield from _entry([image], environment)


def _entry(nodes: list[Node], environment: Mapping[str, str]) -> Iterator[Item]:
    """Read an image, and a platform if there is one."""
    try:
        values = [(node, _expanded(node, environment)) for node in nodes if node]
    except _UnreadableError as error:
        yield error.args[0]
        return
    image, (text, unset) = values[0]
    names = ", ".join(unset)
    if not text and not unset:
        yield Note(image.source, "image: is empty, nothing to pull")
        return
    item = entry_of(text, image.source, values[-1][1].text if len(values) > 1 else None)
    if isinstance(item, BadLine) and unset:
        yield BadLine(image.source, image.text or "", f"no value for {names}: set it in the environment or in .env")
        return
    for node, value in values:
        if value.unset:
            yield Note(node.source, f"no value for {', '.join(value.unset)}: replaced by an empty string")
    yield item


class _UnreadableError(Exception):
    """A value that cannot be expanded; its argument is the bad line."""


def _expanded(node: Node, environment: Mapping[str, str]) -> Expanded:
    """Expand the variables of a value, and remove white space around it."""
    if node.text is None:
        raise _UnreadableError(BadLine(node.source, "", "expected plain text"))
    try:
        result = expand(node.text, environment)
    except ValueError as error:
        raise _UnreadableError(BadLine(node.source, node.text, str(error))) from None
    return Expanded(result.text.strip(), result.unset)
