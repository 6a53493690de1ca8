"""Compose files (https://docs.docker.com/reference/compose-file/): the images that `docker compose pull` would pull.

These are the images of the services in active profiles, unless their `pull_policy` forbids it. A service with `image`
and `build` is pulled, one with `build` alone is not.

If docker compose is installed, its answer decides. puller itself merges the files and documents of a project as far as
images need it, and knows the line numbers; `extends` and `include` need docker compose.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from puller.imagelist.compose_project import ALL_PROFILES, TOP_LEVEL, Project
from puller.imagelist.entry import BadLine, Entry, Item, Note, Source, entry_of
from puller.imagelist.nodes import Node
from puller.imagelist.source import ListSource, Selection
from puller.imagelist.variables import Expanded, expand

_NEVER_PULLED = {"never", "build"}
_IF_MISSING = {"missing", "if_not_present"}
_ANOTHER = "has another image in the other file; if they are one project, name them as FILE:FILE"
_NAMES = ("compose", "docker-compose", "docker-stack")


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Tell whether a document has services, or the file has the name of a Compose file and the keys of version 1."""
    named = source.file.startswith(_NAMES)
    return any(_is_compose(document, named=named) for document in documents)


def _is_compose(root: Node, *, named: bool) -> bool:
    services, include = root.get("services"), root.get("include")
    own = all(key in TOP_LEVEL or key.startswith("x-") for key in root.fields)
    if services and services.value != {}:
        each = services.fields.values()
        are_services = bool(each) and all(service.fields or not service.value for service in each)
        return are_services and (own or named or any(service.get("image") or service.get("build") for service in each))
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
    project = Project(documents, source)
    if not project.services and not project.problem:
        if any(document.fields for document in documents):
            yield Note(Source(source.name, 1), "no services, nothing to pull")
        return
    yield from _others(project)
    own = dict(_images(project, project.services))
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


def _images(project: Project, services: Mapping[str, Node]) -> Iterator[tuple[str, list[Item]]]:
    for name, service in services.items():
        yield name, [*_images_of(name, service, project.environment, project.selection)]


def _others(project: Project) -> Iterator[Note]:
    """Yield notes about services that have another image in another file of the same directory."""
    source = project.source
    known = source.services if source.services is not None else {}
    for name, service in project.services.items():
        image = service.get("image")
        text, where = known.setdefault((source.folder, name), (image.text, Source(source.name)))
        if text and image.text and text != image.text:
            yield Note(image.source, _ANOTHER, f"service {name} (also in {where})")


def _refused(project: Project, found: list[Item], refusal: ValueError) -> Iterator[Item]:
    """Use our own reading; the error of docker compose is a note if it concerns no image."""
    text = f"read without docker compose: {refusal}"
    if project.problem:
        # Let docker compose merge the files, and expand the variables here: a missing one may concern no image.
        text, services = f"variables expanded without docker compose: {refusal}", None
        with suppress(ValueError):
            services = project.ask(interpolate=False)
        found = [item for _, items in _images(project, services or {}) for item in items]
    source = Source(project.source.name)
    if not found and project.problem:
        yield BadLine(source, "", str(refusal))
    elif not any(isinstance(item, BadLine) for item in found):
        yield Note(source, text)
    yield from found


def _combined(name: str, own: list[Item], answer: Node | None, project: Project) -> list[Item]:
    """Use docker compose's answer for a service, or our own reading where both agree, as it has more notes."""
    if answer is None:
        first = next((item for item in own if not isinstance(item, Note)), None)
        return [Note(first.source, "left out, as docker compose leaves it out", f"service {name}")] if first else own
    # The answer is itself a Compose file: `$$` is a dollar sign.
    answered = [*_images_of(name, answer, {}, project.selection._replace(profiles=(ALL_PROFILES,)))]
    return own if not project.problem and own and _meaning(own) == _meaning(answered) else answered


def _meaning(items: list[Item]) -> list[Any]:
    """Reduce items to what is pulled; None stands for a bad line."""
    return [(*item[:2], *item[3:]) if isinstance(item, Entry) else None for item in items if not isinstance(item, Note)]


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
    if profiles and not (selection.services or {ALL_PROFILES, *profiles}.intersection(selection.profiles)):
        which = " or ".join(f"--profile {profile}" for profile in profiles)
        yield Note(service.source, "left out, its profile is not active", f"service {name} ({which})")
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
        raise _UnreadableError(BadLine(node.source, "", "expected plain text, not a list or a mapping"))
    try:
        result = expand(node.text, environment)
    except ValueError as error:
        raise _UnreadableError(BadLine(node.source, node.text, str(error))) from None
    return Expanded(result.text.strip(), result.unset)
