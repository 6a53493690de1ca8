"""What one service of a Compose project wants pulled: its image, and those that it mounts as volumes.

https://docs.docker.com/reference/compose-file/services/
"""

from typing import TYPE_CHECKING

from puller.imagelist.entry import BadLine, Item, Note, wanted
from puller.imagelist.variables import expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from puller.imagelist.compose_service import Service
    from puller.imagelist.nodes import Node


EVERY = "*"
"""The name of all profiles."""
_NEVER_PULLED = {"never", "build"}


def wishes(name: str, service: "Service", enabled: set[str]) -> "Iterator[Item]":
    """Yield what a service wants pulled while these profiles are enabled, and what is left out."""
    notes: list[Note] = []
    try:
        profiles = [_filled(profile, service.environment, notes)[0] for profile in service.listed("profiles")]
        if profiles and EVERY not in enabled and not enabled & set(profiles):
            which = " or ".join(f"--profile {profile}" for profile in profiles)
            yield Note(service.where, f"service {name}: left out, its profile is not active ({which})")
            return
        policy = service.get("pull_policy")
        if policy and _filled(policy, service.environment, notes)[0] in _NEVER_PULLED:
            yield Note(policy.source, f"service {name}: pull_policy: {policy.text}, nothing to pull")
            return
    except _UnreadableError as error:
        yield error.bad
        return
    yield from _image(name, service)
    yield from _volumes(service)


def _image(name: str, service: "Service") -> "Iterator[Item]":
    image, build = service.get("image"), service.get("build")
    if image is None:
        what = "only build:" if build else "neither image: nor build:"
        yield Note(service.where, f"service {name}: {what}, nothing to pull")
        return
    if build:
        yield Note(image.source, f"service {name}: has build:, too; the image is pulled, as docker compose pull does")
    yield from _wanted(image, service.get("platform"), service.environment)


def _volumes(service: "Service") -> "Iterator[Item]":
    """Read the volumes that are images themselves."""
    for volume in service.listed("volumes"):
        kind, source = volume.get("type"), volume.get("source")
        if kind and kind.text == "image" and source:
            yield from _wanted(source, None, service.environment)


def _wanted(image: "Node", platform: "Node | None", environment: "Mapping[str, str]") -> "Iterator[Item]":
    notes: list[Note] = []
    try:
        text, unset = _filled(image, environment, notes)
        target = _filled(platform, environment, notes)[0] if platform else None
    except _UnreadableError as error:
        yield error.bad
        return
    if not text and not unset:
        yield Note(image.source, "image: comes to nothing, nothing to pull")
        return
    item = wanted(text, image.source, target)
    if isinstance(item, BadLine) and unset:
        names = ", ".join(unset)
        yield BadLine(image.source, image.text or "", f"no value for {names}: set it in the environment or in .env")
        return
    yield from notes
    yield item


class _UnreadableError(Exception):
    """A value that cannot be filled in."""

    def __init__(self, bad: BadLine) -> None:
        super().__init__(str(bad))
        self.bad = bad


def _filled(node: "Node", environment: "Mapping[str, str]", notes: list[Note]) -> tuple[str, tuple[str, ...]]:
    """Fill in the variables of a value; what had none is told in `notes`."""
    if node.text is None:
        raise _UnreadableError(BadLine(node.source, "", "expected plain text"))
    try:
        expanded = expand(node.text, environment)
    except ValueError as error:
        raise _UnreadableError(BadLine(node.source, node.text, str(error))) from None
    if expanded.unset:
        notes.append(Note(node.source, f"no value for {', '.join(expanded.unset)}: taken as empty, as compose does"))
    return expanded.text.strip(), expanded.unset
