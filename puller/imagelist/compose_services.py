"""The services of a Compose file, and the images of each of them.

https://docs.docker.com/reference/compose-file/services/
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from puller.imagelist.entry import BadLine, Item, Note, Source, entry_of
from puller.imagelist.nodes import Node
from puller.imagelist.variables import Expanded, expand

TOP_LEVEL = {"version", "name", "include", "services", "networks", "volumes", "secrets", "configs", "models"}
"""The keys at the top of a Compose file, extensions (`x-…`) aside."""
ALL_PROFILES = "*"
_NEVER_PULLED = {"never", "build"}
_RESET = "!reset"


@dataclass(frozen=True, slots=True)
class Service:
    """One service."""

    fields: Mapping[str, Node]
    source: Source
    environment: Mapping[str, str]
    """The values of its variables."""

    def get(self, key: str) -> Node | None:
        """Return a field unless it is null or removed by `!reset`."""
        node = self.fields.get(key)
        return node if node and node.value is not None and node.tag != _RESET else None

    def items(self, key: str) -> Sequence[Node]:
        node = self.get(key)
        return node.items if node else ()


def services_of(root: Node, environment: Mapping[str, str]) -> dict[str, Service]:
    """Return the services of a document; version 1 of the format has them at the top level."""
    node = root.get("services")
    found = node.fields if node else {}
    if not root.fields.keys() & TOP_LEVEL:
        found = {
            key: each
            for key, each in root.fields.items()
            if key[:2] != "x-" and (each.get("image") or each.get("build"))
        }
    return {name: Service(each.fields, each.source, environment) for name, each in found.items() if each.tag != _RESET}


def images_of(name: str, service: Service, enabled: set[str]) -> Iterator[Item]:
    """Yield the images of a service when these profiles are enabled, or notes about why there are none."""
    try:
        profiles = [_expanded(profile, service.environment).text for profile in service.items("profiles")]
        if profiles and ALL_PROFILES not in enabled and not enabled & set(profiles):
            which = " or ".join(f"--profile {profile}" for profile in profiles)
            yield Note(service.source, f"service {name}: left out, its profile is not active ({which})")
            return
        policy = service.get("pull_policy")
        if policy and _expanded(policy, service.environment).text in _NEVER_PULLED:
            yield Note(policy.source, f"service {name}: pull_policy: {policy.text}, nothing to pull")
            return
    except _UnreadableError as error:
        yield error.bad
        return
    yield from _image(name, service)
    for volume in service.items("volumes"):
        kind, image = volume.get("type"), volume.get("source")
        if kind and kind.text == "image" and image:
            yield from _entry(image, None, service.environment)


def _image(name: str, service: Service) -> Iterator[Item]:
    image, build = service.get("image"), service.get("build")
    if image is None:
        what = "only build:" if build else "neither image: nor build:"
        yield Note(service.source, f"service {name}: {what}, nothing to pull")
        return
    if build:
        yield Note(image.source, f"service {name}: has build: as well; the image is pulled")
    yield from _entry(image, service.get("platform"), service.environment)


def _entry(image: Node, platform: Node | None, environment: Mapping[str, str]) -> Iterator[Item]:
    nodes = (image, platform) if platform else (image,)
    try:
        values = [_expanded(node, environment) for node in nodes]
    except _UnreadableError as error:
        yield error.bad
        return
    text, unset = values[0].text, ", ".join(values[0].unset)
    if not text and not unset:
        yield Note(image.source, "image: is empty, nothing to pull")
        return
    item = entry_of(text, image.source, values[1].text if platform else None)
    if isinstance(item, BadLine) and unset:
        yield BadLine(image.source, image.text or "", f"no value for {unset}: set it in the environment or in .env")
        return
    for node, value in zip(nodes, values, strict=True):
        if value.unset:
            yield Note(node.source, f"no value for {', '.join(value.unset)}: replaced by an empty string")
    yield item


class _UnreadableError(Exception):
    """A value that cannot be expanded."""

    def __init__(self, bad: BadLine) -> None:
        super().__init__(str(bad))
        self.bad = bad


def _expanded(node: Node, environment: Mapping[str, str]) -> Expanded:
    """Expand the variables of a value, and remove white space around it."""
    if node.text is None:
        raise _UnreadableError(BadLine(node.source, "", "expected plain text"))
    try:
        result = expand(node.text, environment)
    except ValueError as error:
        raise _UnreadableError(BadLine(node.source, node.text, str(error))) from None
    return Expanded(result.text.strip(), result.unset)
