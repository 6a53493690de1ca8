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
RESET = "!reset"
_APPENDED = ("profiles", "volumes")


@dataclass(frozen=True, slots=True)
class Service:
    """One service, merged."""

    fields: "Mapping[str, Node]"
    where: "Source"
    environment: "Mapping[str, str]"
    """What its variables are filled in with."""
    removed: bool = False
    """Whether it is written as `!reset`, which takes the service out."""

    def get(self, key: str) -> Node | None:
        """Find a field that is not null."""
        node = self.fields.get(key)
        return node if node and node.value is not None else None

    def listed(self, key: str) -> "Sequence[Node]":
        """Give the members of a list."""
        node = self.fields.get(key)
        return node.items if node else ()

    def over(self, base: "Service") -> "Service":
        """Lay this service over one that it extends or overrides."""
        fields = dict(base.fields)
        for key, node in self.fields.items():
            if node.tag == RESET:
                fields.pop(key, None)
            elif key in _APPENDED and node.tag != "!override" and key in fields:
                fields[key] = Node([*fields[key].items, *node.items], node.name, node.line)
            else:
                fields[key] = node
        return Service(fields, self.where if self.fields else base.where, self.environment)


def services_of(root: Node, environment: "Mapping[str, str]") -> "dict[str, Service]":
    """Take the services of a document; version 1 of the format had them at its top."""
    node = root.get("services")
    found = node.fields if node else {}
    if not root.fields.keys() & TOP_LEVEL:
        found = {key: each for key, each in root.fields.items() if each.get("image") or each.get("build")}
    return {name: Service(each.fields, each.source, environment, each.tag == RESET) for name, each in found.items()}


def lay(services: "dict[str, Service]", over: "Mapping[str, Service]") -> None:
    """Put services over others of the same name."""
    for name, service in over.items():
        if service.removed:
            services.pop(name, None)
        else:
            services[name] = service.over(services[name]) if name in services else service
