"""What docker compose itself makes of a project, in the places where our own reading found it written."""

from typing import TYPE_CHECKING

from puller.imagelist import jsonnodes
from puller.imagelist.compose_service import Service, services_of
from puller.imagelist.entry import Source
from puller.imagelist.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from puller.imagelist.compose_project import Project
    from puller.imagelist.origin import Origin


_SPEAKER = "docker compose"


def answered(project: "Project", services: "Mapping[str, Service]", origin: "Origin") -> dict[str, Service] | None:
    """Ask compose for the active services of a project; None where there is nobody to ask, or nothing to ask about.

    A project that came through a pipe cannot be read again. Raises ValueError with the reason of a refusal.
    """
    ask = origin.compose.ask
    if ask is None or not all(path.is_file() for path in project.files):
        return None
    said = ask(project.files, origin.compose.profiles)
    if said is None:
        return None
    parsed = jsonnodes.parse(said, _SPEAKER)
    root = None if parsed.problem else parsed.documents[0]
    if root is None or "services" not in root.fields:
        raise ValueError(f"{_SPEAKER} answers with something that is no project")
    # Its answer is a Compose file, too: `$$` stands for a dollar sign, and there are no variables in it.
    there = services_of(root, {})
    return {name: _placed(service, services.get(name), origin) for name, service in there.items()}


def _placed(service: Service, ours: Service | None, origin: "Origin") -> Service:
    """Put a service where ours is written; what we did not find is at the top of the file."""
    where = ours.where if ours else Source(origin.name, 1)
    fields = {}
    for key, node in service.fields.items():
        written = ours.fields.get(key) if ours else None
        fields[key] = _at(node, written.source if written else where)
    return Service(fields, where, service.environment)


def _at(node: Node, where: Source) -> Node:
    value = node.value
    if isinstance(value, list):
        value = [_at(each, where) for each in value]
    elif isinstance(value, dict):
        value = {key: _at(each, where) for key, each in value.items()}
    return Node(value, where.name, where.line or 1, node.tag)
