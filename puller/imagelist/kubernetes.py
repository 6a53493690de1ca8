"""Kubernetes manifests and the output of `helm template` and `kustomize build`: the images of all pods.

A pod is recognised by the fields of PodSpec (Kubernetes API): lists of containers with an image, and image volumes, at
any depth. So a custom resource with a pod template is read like a Deployment.
"""

from collections.abc import Iterator, Sequence

from puller.imagelist.entry import BadLine, Item, Note, entry_of
from puller.imagelist.nodes import Node
from puller.imagelist.source import ListSource

_LISTS = {"initContainers", "containers", "ephemeralContainers"}
_OF_A_GROUP = {
    "tekton.dev": ({"steps", "sidecars", "stepTemplate"}, "$("),
    "argoproj.io": ({"container", "script", "sidecars"}, "{{"),
}
"""API groups with their own keys for containers, and the mark of a value that is known only at run time."""
_NO_PODS = {"CustomResourceDefinition", "ConfigMap", "Secret"}


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Tell whether any document is a resource, or the file is a kustomization, which may have no `kind`."""
    is_resource = any(document.get("apiVersion").text and document.get("kind").text for document in documents)
    return is_resource or _is_kustomization(documents[0], source)


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:
    """Yield the images of all pods, in the order of the file."""
    for document in documents:
        if _is_kustomization(document, source):
            yield Note(document.source, "a kustomization, build it first: kustomize build | puller list -")
        elif document.fields:
            yield from _Walk(document.get("apiVersion").text or "").resource(document)


def _is_kustomization(document: Node, source: ListSource) -> bool:
    if kind := document.get("kind"):
        return kind.text in ("Kustomization", "Component") and not document.get("spec")
    return source.file.startswith("kustomization.y") and bool(document.fields)


class _Walk:
    """Walks through one document; values that are shared by aliases are visited once."""

    def __init__(self, api_version: str) -> None:
        names, self._late = _OF_A_GROUP.get(api_version.partition("/")[0], (set(), ""))
        self._names = _LISTS | names
        self._seen: set[int] = set()

    def resource(self, node: Node) -> Iterator[Item]:
        """Walk through a resource, or a List of resources."""
        if node.get("kind").text not in _NO_PODS:
            yield from self._all(node)

    def _all(self, node: Node) -> Iterator[Item]:
        if not isinstance(node.value, (dict, list)) or id(node.value) in self._seen:
            return
        self._seen.add(id(node.value))
        for member in node.items:
            yield from self.resource(member)
        for key, member in node.fields.items():
            if key in self._names:
                for container in member.members:
                    yield from self._image(container.get("image"))
            elif key == "volumes":
                for volume in member.items:
                    yield from self._image(volume.get("image", "reference"))
            yield from self._all(member)

    def _image(self, image: Node) -> Iterator[Item]:
        if image.text is None:
            return
        text = image.text.strip()
        if self._late and self._late in text:
            yield Note(image.source, f"{text}: known only at run time")
        elif text == "auto":
            yield Note(image.source, "image: auto is chosen by Istio when the pod starts")
        elif "{{" in text or "{%" in text:
            yield BadLine(image.source, text, "a template: render it first (helm template, kustomize build, …)")
        elif "$" in text:
            yield BadLine(image.source, text, "contains a variable: run envsubst first")
        else:
            yield entry_of(text, image.source)
