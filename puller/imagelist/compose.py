"""Compose files (https://docs.docker.com/reference/compose-file/): what `docker compose pull` would pull.

That is: the services of the active profiles, with `image`, except those whose `pull_policy` forbids it. A service with
both `image` and `build` is pulled, as compose tries to; one with `build` alone is not.
"""

from itertools import chain
from typing import TYPE_CHECKING

from puller.imagelist.compose_answer import answered
from puller.imagelist.compose_images import EVERY, wishes
from puller.imagelist.compose_project import Project
from puller.imagelist.compose_service import TOP_LEVEL
from puller.imagelist.entry import BadLine, Entry, Note, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from puller.image.reference import ImageReference, Platform
    from puller.imagelist.compose_service import Service
    from puller.imagelist.entry import Item
    from puller.imagelist.nodes import Node
    from puller.imagelist.origin import Origin


_MARKS = {"image", "build", "extends", "provider"}
_NAMES = ("compose", "docker-compose", "docker-stack")


def detect(documents: "Sequence[Node]", origin: "Origin") -> bool:
    """Whether this has services, or the name of a Compose file and what version 1 of the format had."""
    named = origin.file.startswith(_NAMES)
    return any(_is_compose(document, named=named) for document in documents)


def _is_compose(root: "Node", *, named: bool) -> bool:
    services = root.get("services")
    if services and services.value != {}:
        return bool(services.fields) and all(
            service.fields or not service.value for service in services.fields.values()
        )
    own = all(key in TOP_LEVEL or key.startswith("x-") for key in root.fields)
    if own and ("services" in root.fields or (include := root.get("include"))):
        return "services" in root.fields or named or bool(include and all(map(_is_path, include.items)))
    return named and any(service.get("image") or service.get("build") for service in root.fields.values())


def _is_path(include: "Node") -> bool:
    """Whether Compose would write an include like this; GitLab has other keys, and paths from the top."""
    text = include.text or ""
    return include.get("path") is not None or bool(text and not text.startswith(("/", "http:", "https:")))


def parse(documents: "Sequence[Node]", origin: "Origin") -> "Iterator[Item]":
    """Yield the image of every service that is active, in the order of the file."""
    project = Project(origin)
    services = project.load(documents)
    usual = [profile.strip() for profile in project.environment.get("COMPOSE_PROFILES", "").split(",")]
    enabled = set(origin.compose.profiles or filter(None, usual))
    ours = {name: [*wishes(name, service, enabled)] for name, service in services.items()}
    found = [*project.problems, *chain.from_iterable(ours.values())]
    try:
        theirs = answered(project, services, origin)
    except ValueError as error:
        if not any(isinstance(item, BadLine) for item in found):
            complaint = f"read by puller alone: {error}"
            yield Note(Source(origin.name), complaint) if found else BadLine(Source(origin.name), "", complaint)
        theirs = None
    if theirs is None:
        yield from found
    else:
        for name in ours | theirs:
            yield from _agreed(name, ours.get(name, []), theirs.get(name))


def _agreed(name: str, ours: "list[Item]", theirs: "Service | None") -> "Iterator[Item]":
    """Take what compose says of a service; in our own words, which tell more, where they come to the same."""
    if theirs is None:
        wanted_here = next((item for item in ours if not isinstance(item, Note)), None)
        if wanted_here:
            ours = [Note(wanted_here.source, f"service {name}: left out, as docker compose leaves it out")]
        yield from ours
        return
    said = [*wishes(name, theirs, {EVERY})]
    yield from ours if ours and _meaning(ours) == _meaning(said) else said


def _meaning(items: "list[Item]") -> "list[tuple[ImageReference, Platform | None] | None]":
    """Reduce items to what is pulled; None stands for what cannot be."""
    return [
        (item.reference, item.platform) if isinstance(item, Entry) else None
        for item in items
        if not isinstance(item, Note)
    ]
