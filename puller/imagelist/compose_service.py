"""One service of a Compose project: its fields, merged by the rules of the field.

https://docs.docker.com/reference/compose-file/merge/
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from puller.imagelist.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from puller.imagelist.entry import Source


TOP_LEVEL = {"version", "name", "include", "services", "networks", "volumes", "secrets", "configs", "models"}
"""What a Compose file has at its top, extensions (`x-…`) aside."""
RESET, OVERRIDE = "!reset", "!override"


@dataclass(frozen=True, slots=True)
class Service:
    """One service, merged."""

    fields: "Mapping[str, Node]"
    where: "Source"
    environment: "Mapping[str, str]"
    """What its variables are filled in with."""
    tag: str = ""
    """How it is written: `!reset` takes the service out, `!override` replaces what it would be merged with."""

    def get(self, key: str) -> Node | None:
        """Find a field that is there: neither null, nor taken out by the very file that would be merged."""
        node = self.fields.get(key)
        return node if node and node.value is not None and node.tag != RESET else None

    def listed(self, key: str) -> "Sequence[Node]":
        """Give the members of a list."""
        node = self.get(key)
        return node.items if node else ()

    def over(self, base: "Service") -> "Service":
        """Lay this service over one that it extends or overrides."""
        fields = dict(base.fields)
        for key, node in self.fields.items():
            if node.tag == RESET:
                fields.pop(key, None)
            elif key in fields and node.tag != OVERRIDE:
                fields[key] = _merged(key, fields[key], node)
            else:
                fields[key] = node
        return Service(fields, self.where if self.fields else base.where, self.environment, base.tag)


def _merged(key: str, base: Node, over: Node) -> Node:
    """Merge one field: null changes nothing, profiles add up, a volume goes where another has the same target."""
    if over.value is None:
        return base
    if key == "profiles":
        return Node([*base.items, *over.items], over.name, over.line)
    if key == "volumes":
        taken = {_target(volume) for volume in over.items}
        kept = [volume for volume in base.items if _target(volume) not in taken]
        return Node([*kept, *over.items], over.name, over.line)
    return over


def _target(volume: Node) -> str | None:
    """Say where a volume is mounted: `target`, or what stands behind the first colon, or all."""
    target = volume.get("target")
    return target.text if target else (volume.text or "").partition(":")[2].partition(":")[0] or volume.text


def services_of(root: Node, environment: "Mapping[str, str]") -> dict[str, Service]:
    """Take the services of a document; version 1 of the format had them at its top."""
    node = root.get("services")
    found = node.fields if node else {}
    if not root.fields.keys() & TOP_LEVEL:
        found = {
            key: each
            for key, each in root.fields.items()
            if key[:2] != "x-" and (each.get("image") or each.get("build"))
        }
    return {name: Service(each.fields, each.source, environment, each.tag) for name, each in found.items()}


def lay(services: dict[str, Service], over: "Mapping[str, Service]") -> None:
    """Put services over others of the same name."""
    for name, service in over.items():
        merged = name in services and service.tag not in (RESET, OVERRIDE) and services[name].tag != RESET
        services[name] = service.over(services[name]) if merged else service
