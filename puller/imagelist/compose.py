"""Compose files (https://docs.docker.com/reference/compose-file/): the images that `docker compose pull` would pull.

These are the images of the services in active profiles, unless their `pull_policy` forbids it. A service with `image`
and `build` is pulled, one with `build` alone is not.

If docker compose is installed, its answer decides. puller itself merges the files and documents of a project as far as
images need it, and knows the line numbers; `extends` and `include` need docker compose.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from puller.imagelist.compose_cli import DEFAULT_NAMES, OVERRIDES
from puller.imagelist.entry import BadLine, Entry, Item, Note, Source, entry_of
from puller.imagelist.nodes import MISSING, Node, load
from puller.imagelist.source import ListSource, Selection, read_file
from puller.imagelist.variables import Expanded, expand, read_dotenv

_TOP_LEVEL = {"version", "name", "include", "services", "networks", "volumes", "secrets", "configs", "models"}
"""The keys at the top of a Compose file, extensions (`x-…`) aside."""
_ALL_PROFILES = "*"
_NEVER_PULLED = {"never", "build"}
_IF_MISSING = {"missing", "if_not_present"}
_PLATFORM = "DOCKER_DEFAULT_PLATFORM"
_RESET = "!reset"
"""The tag of what an override file removes."""
_TAGS = {_RESET, "!override"}
"""The tags of values that are not merged."""
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
    if own and named and root.fields:
        return True
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
    if not project.services and not project.problem:
        if any(document.fields for document in documents):
            yield Note(Source(source.name, 1), "no services, nothing to pull")
        return
    yield from _others(project)
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
        yield from _combined(name, own.get(name, []), answer.get(name), project)


def _others(project: "_Project") -> Iterator[Note]:
    """Yield notes about services that have another image in another file of the same directory."""
    source = project.source
    known = source.services if source.services is not None else {}
    for name, service in project.services.items():
        image = service.get("image")
        text, where = known.setdefault((source.folder, name), (image.text, Source(source.name)))
        if text and image.text and text != image.text:
            advice = f"if both files are one project, name them as {where.name}:{source.name}"
            yield Note(image.source, f"has another image in {where}; {advice}", f"service {name}")


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
    if not found and project.problem:
        yield BadLine(source, "", str(refusal))
    elif not any(isinstance(item, BadLine) for item in found):
        yield Note(source, text)
    yield from found


def _combined(name: str, own: list[Item], answer: Node | None, project: "_Project") -> list[Item]:
    """Use docker compose's answer for a service, or our own reading where both agree, as it has more notes."""
    if answer is None:
        first = next((item for item in own if not isinstance(item, Note)), None)
        return [Note(first.source, "left out, as docker compose leaves it out", f"service {name}")] if first else own
    # The answer is itself a Compose file: `$$` is a dollar sign.
    answered = [*_images_of(name, answer, {}, project.selection._replace(profiles=(_ALL_PROFILES,)))]
    return own if not project.problem and own and _meaning(own) == _meaning(answered) else answered


def _meaning(items: list[Item]) -> list[Any]:
    """Reduce items to what is pulled; None stands for a bad line."""
    return [(*item[:2], *item[3:]) if isinstance(item, Entry) else None for item in items if not isinstance(item, Note)]


class _Project:
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
        self._environment = self._variables()
        profiles = [profile.strip() for profile in self._environment.get("COMPOSE_PROFILES", "").split(",")]
        platform = None if _PLATFORM in source.environment else self._environment.get(_PLATFORM)
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
        return None

    def images(self, name: str, service: Node) -> list[Item]:
        return [*_images_of(name, service, self._environment, self.selection)]

    def ask(self, *, interpolate: bool = True) -> dict[str, Node] | None:
        """Ask docker compose for the services; None where it is not available or not needed.

        A list from a pipe cannot be read twice. Raises ValueError with the error of docker compose.
        """
        source, files = self.source, [Path(self.source.name), *self._overrides]
        if source.compose is None or (source.only_if_needed and not self.problem) or not all(map(Path.is_file, files)):
            return None
        chosen = source.selection
        profiles = (_ALL_PROFILES,) if chosen.services else chosen.profiles  # a named service needs no profile
        answer = source.compose(files, profiles, interpolate=interpolate)
        if answer is None:
            return None
        try:
            services = json.loads(answer)["services"].items()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ValueError("docker compose did not print a project") from None
        return self._located({name: fields for name, fields in services if isinstance(fields, dict)})

    def _located(self, answer: Mapping[str, Mapping[str, Any]]) -> dict[str, Node]:
        """Give each field its place in the override file or else the last document; or that of the include."""
        written = [_services_of(root) for root in reversed(self._roots)]
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


def _images_of(name: str, service: Node, environment: Mapping[str, str], selection: Selection) -> Iterator[Item]:
    """Yield the images of a service if it is selected, or notes about why there are none.

    `environment` has the values of variables.
    """
    if selection.services and name not in selection.services:
        return
    policy, platform = service.get("pull_policy"), service.get("platform")
    try:
        profiles = [_expanded(profile, environment).text for profile in service.get("profiles").items]
        when = _expanded(policy, environment).text if policy else ""
    except _UnreadableError as error:
        yield error.args[0]
        return
    if profiles and not (selection.services or {_ALL_PROFILES, *profiles}.intersection(selection.profiles)):
        which = " or ".join(f"--profile {profile}" for profile in profiles)
        yield Note(service.source, f"left out, its profile is not active ({which})", f"service {name}")
        return
    if selection.platform and not platform:
        platform = Node(selection.platform, service.source)
    if when in _NEVER_PULLED:
        yield Note(policy.source, f"pull_policy: {when}, nothing to pull", f"service {name}")
    else:
        yield from _own_image(name, service, platform, environment, selection, if_missing=when in _IF_MISSING)
    for hook in service.get("pre_start").items if when != "never" else ():
        if image := hook.get("image"):
            yield from _entry([image, platform], environment, if_missing=when in _IF_MISSING)
    for volume in {_target(volume): volume for volume in service.get("volumes").items}.values():
        if when not in _NEVER_PULLED and volume.get("type").text == "image" and (image := volume.get("source")):
            yield from _entry([image], environment)


def _own_image(
    name: str, service: Node, platform: Node, environment: Mapping[str, str], selection: Selection, *, if_missing: bool
) -> Iterator[Item]:
    image, build, subject = service.get("image"), service.get("build"), f"service {name}"
    if not image:
        what = "only build:" if build else "neither image: nor build:"
        yield Note(service.source, f"{what}, nothing to pull", subject)
    elif build and selection.ignore_buildable:
        yield Note(image.source, "has build: as well; left out (--ignore-buildable)", subject)
    else:
        found = [*_entry([image, platform], environment, buildable=bool(build), if_missing=if_missing)]
        if build and not all(isinstance(item, Note) for item in found):
            yield Note(image.source, "has build: as well; the image is pulled", subject)
        yield from found


def _target(volume: Node) -> str:
    """Return where a volume is mounted: of two volumes the later one counts."""
    short = (volume.text or "").split(":")
    return volume.get("target").text or (short[1] if len(short) > 1 else short[0]) or str(id(volume))


def _entry(
    nodes: list[Node], environment: Mapping[str, str], *, buildable: bool = False, if_missing: bool = False
) -> Iterator[Item]:
    """Read an image, and a platform if there is one."""
    try:
        values = [(node, _expanded(node, environment)) for node in nodes if node]
    except _UnreadableError as error:
        yield error.args[0]
        return
    image, (text, unset) = values[0]
    names = ", ".join(unset)
    if not text and (not unset or buildable):
        why = f"no value for {names}: taken as empty; only build:" if unset else "image: is empty"
        yield Note(image.source, f"{why}, nothing to pull")
        return
    item = entry_of(text, image.source, values[-1][1].text if len(values) > 1 else None)
    if isinstance(item, BadLine) and unset:
        yield BadLine(image.source, image.text or "", f"no value for {names}: set it in the environment or in .env")
        return
    for node, value in values:
        if value.unset:
            yield Note(node.source, f"no value for {', '.join(value.unset)}: replaced by an empty string")
    yield item._replace(buildable=buildable, if_missing=if_missing) if isinstance(item, Entry) else item


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
