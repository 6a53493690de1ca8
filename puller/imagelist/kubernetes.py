"""Kubernetes manifests and the output of `helm template` and `kustomize build`: the images that a cluster pulls.

A pod is recognised by the fields of PodSpec (Kubernetes API): lists of containers with an image, and image volumes, at
any depth. So a custom resource with a pod template is read like a Deployment. Of other custom resources the `image` and
`imageName` are taken, which their operators run. Any other text that holds a full reference (an argument, an
environment variable, a ConfigMap, `fooImage`) is a note: an operator may pull it later.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from puller.image.reference import ImageReference
from puller.imagelist.entry import BadLine, Entry, Item, Note, Source, entry_of, is_explicit
from puller.imagelist.nodes import LITERAL, MISSING, Node
from puller.imagelist.source import ListSource

_LISTS = {"initContainers", "containers", "ephemeralContainers"}
_OF_A_GROUP = {"tekton.dev": {"steps", "sidecars", "stepTemplate"}, "argoproj.io": {"container", "script", "sidecars"}}
"""API groups with their own keys for containers."""
_LATE = {"tekton.dev": "$(", "argoproj.io": "{{"}
"""The mark of a value that is known only at run time."""
_OWN = re.compile(r"[a-z]*|(?:.*\.)?(?:k8s|kubernetes)\.io")
"""The API groups of Kubernetes itself."""
_PATTERNS = re.compile(
    r"(?:.*\.)?(?:kyverno\.io|gatekeeper\.sh|sigstore\.dev|wgpolicyk8s\.io|crossplane\.io)|image\.toolkit\.fluxcd\.io"
)
"""API groups whose images are patterns, are only scanned, or are packages that no container engine pulls."""
_SOURCES = {
    "Application": "an Argo CD application", "ApplicationSet": "an Argo CD application set",
    "HelmRelease": "a Helm release", "HelmChart": "a Helm chart resource", "Kustomization": "a Flux kustomization",
}  # fmt: skip
"""Kinds of custom resources that name a chart or a directory with more images."""
_IMAGE_KEYS = {"image", "imageName"}
_PARAMETER = re.compile(
    r"\$\((?:inputs\.)?params(?:\.([\w.-]+)|\[['\"]([^'\"]+)['\"]\])\)"
    r"|\{\{\s*(?:inputs|workflow)\.parameters\.([\w.-]+)\s*\}\}|\$\{\{?(\w+)\}\}?"
)
"""A parameter of Tekton, Argo or an OpenShift template."""
_OPEN = re.compile(r"\$[({]|\{\{")
_FULL = re.compile(
    r"(?<![\w./:@%$*{}-])(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?=:\d))(?::\d+)?"
    r"(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+(?::\w[\w.-]*)?(?:@sha256:[0-9a-f]{64})?(?![\w/@:{$*])"
)
"""A reference with its registry, in a text; it counts only with a tag or digest."""
_NO_PODS = {"CustomResourceDefinition", "Secret"}
_KO = "ko://"
_NOT_PULLED = {
    "": "image: is empty, nothing to pull (something fills it in later)",
    "auto": "image: auto is chosen by Istio when the pod starts",
    _KO: "image: is built by ko, nothing to pull",
}
"""What is said of a whole value, or of the beginning of one."""
_TAGGED = re.compile(r"[:@][^/]*$")
_PLACEHOLDER = re.compile(r"<[^<>]+>")
_IN_TEXT = re.compile(r"(?im)^[ \t-]*\"?image\"?[ \t]*:[ \t]*[\"']?([\w./:@-]+)")
"""The image of a manifest in a text."""
_KUSTOMIZATION = "left out: a kustomization: build it first: kustomize build | puller list -"
_LATER = "looks like an image that is pulled later, and is not taken; --image adds it"


def detect(documents: Sequence[Node], source: ListSource) -> bool:
    """Tell whether any document is a resource, or the file is a kustomization, which may have no `kind`."""
    is_resource = any(document.get("apiVersion").text and document.get("kind").text for document in documents)
    return is_resource or _is_kustomization(documents[0], source)


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:
    """Yield the images of all pods, in the order of the file, and then notes about references elsewhere."""
    walk, taken = _Walk(), set()
    for document in documents:
        if _is_kustomization(document, source):
            yield Note(document.source, _KUSTOMIZATION)
        elif document.fields:
            for item in walk.resource(document, _Resource.of(document)):
                if isinstance(item, Entry):
                    taken.add(item.reference.text)
                yield item
    yield from (Note(where, _LATER, text) for text, where in walk.later.items() if text not in taken)


def _is_kustomization(document: Node, source: ListSource) -> bool:
    if kind := document.get("kind"):
        return kind.text in ("Kustomization", "Component") and not document.get("spec")
    return source.file.startswith("kustomization.y") and bool(document.fields)


class _Resource(NamedTuple):
    """What the values inside a resource mean."""

    group: str
    kind: str
    parameters: dict[str, str] | None
    """The defaults of the parameters of the outermost Tekton, Argo or OpenShift template; None outside of one."""

    @classmethod
    def of(cls, node: Node, parameters: dict[str, str] | None = None) -> "_Resource":
        version, kind = node.get("apiVersion").text or "", node.get("kind").text or ""
        group = version.partition("/")[0] if "/" in version else ""
        group = next((each for each in _OF_A_GROUP if f".{group}".endswith(f".{each}")), group)
        if parameters is None and (group in _OF_A_GROUP or kind == "Template"):
            parameters = _parameters(node)
        return cls(group, kind, parameters)

    @property
    def is_custom(self) -> bool:
        """Whether an operator reads it, and runs the images in it."""
        own = _OWN.fullmatch(self.group) or _PATTERNS.fullmatch(self.group) or self.group in _OF_A_GROUP
        return not own


def _parameters(resource: Node) -> dict[str, str]:
    """Return the defaults of all parameters of a resource; of several with the same name the first one wins."""
    found: dict[str, str] = {}
    seen: set[int] = set()
    nodes = [resource]
    while nodes:
        node = nodes.pop()
        if id(node.value) not in seen and isinstance(node.value, (dict, list)):
            seen.add(id(node.value))
            nodes += [*node.fields.values(), *node.items][::-1]
            for each in (*node.get("params").items, *node.get("parameters").items):
                value = each.get("default").text or each.get("value").text or "$("
                if (name := each.get("name").text) and not _OPEN.search(value):
                    found.setdefault(name, value)
    return found


class _Walk:
    """Walks through the documents of a file; values that are shared by aliases are visited once."""

    def __init__(self) -> None:
        self.later: dict[str, Source] = {}
        """References that are not taken, with the place of each."""
        self._seen: set[int] = set()

    def resource(self, node: Node, outer: _Resource) -> Iterator[Item]:
        """Walk through a resource, or through a value inside of `outer`, such as a member of a List."""
        resource = outer
        if node.get("apiVersion").text and node.get("kind").text:
            resource = _Resource.of(node, outer.parameters)
        if resource is not outer and not _OWN.fullmatch(resource.group) and (what := _SOURCES.get(resource.kind)):
            yield Note(node.source, f"left out: {what}: render its source first")
        if resource.kind == "ConfigMap":
            for name, value in node.get("data").fields.items():
                self._look(value, name)
        elif resource.kind not in _NO_PODS:
            yield from self._all(node, resource)

    def _all(self, node: Node, resource: _Resource) -> Iterator[Item]:
        if not isinstance(node.value, (dict, list)) or id(node.value) in self._seen:
            return
        self._seen.add(id(node.value))
        before = ""
        for member in node.items:
            self._look(member, before)
            before = member.text or ""
            yield from self.resource(member, resource)
        left_out = {"metadata", "status"} if "apiVersion" in node.fields else {"metadata"}
        for key, member in node.fields.items():
            if key not in left_out:
                self._look(member, node.get("name").text or "" if key == "value" else key)
                yield from self._field(key, member, resource)

    def _field(self, key: str, member: Node, resource: _Resource) -> Iterator[Item]:
        is_step = key == "spec" and resource.kind == "StepAction"
        if key in _LISTS or is_step or key in _OF_A_GROUP.get(resource.group, ()):
            for container in member.members:
                yield from self._image(container.get("image"), container.get("imagePullPolicy"), resource)
        elif key == "volumes":
            for image in (volume.get("image") for volume in member.items):
                yield from self._image(image.get("reference"), image.get("pullPolicy"), resource)
        elif key in _IMAGE_KEYS and member.text and resource.is_custom and id(member) not in self._seen:
            yield from self._of_an_operator(member, resource)
        elif repository := member.get("repository").text if key == "image" else None:
            name = "/".join(filter(None, (member.get("registry").text, repository)))
            self._look(Node(f"{name}:{member.get('tag').text or 'latest'}", member.source))
        elif key == "relatedImages":
            for each in member.items:
                self._look(each.get("image"))
            return
        elif key == "output" and (image := member.get("image") or member.get("to", "name")).text:
            yield Note(image.source, "a build pushes it, nothing to pull", image.text or "")
            return
        yield from self._all(member, resource)

    def _look(self, node: Node, name: str = "") -> None:
        """Remember the full references in a text that is not known to be an image.

        After a `name` such as `--engine-image` or `RELATED_IMAGE` the text may be a reference without a registry.
        """
        if node.text is None or id(node) in self._seen:
            return
        option, equals, value = node.text.partition("=")
        alone = value if equals else node.text
        named = [alone] if "image" in (option if equals else name).lower() else _IN_TEXT.findall(node.text)
        for text in (*(match[0].rstrip(".-_") for match in _FULL.finditer(node.text)), *named):
            if _TAGGED.search(text) and ImageReference.read(text):
                self.later.setdefault(text, node.source)

    def _of_an_operator(self, image: Node, resource: _Resource) -> Iterator[Item]:
        """Take the image of a custom resource if it is surely one, and not that of a virtual machine."""
        text = (image.text or "").strip()
        if _OPEN.search(text) or text.startswith(_KO) or (is_explicit(text) and ImageReference.read(text)):
            yield from self._image(image, MISSING, resource)
        elif image.tag != LITERAL:
            yield Note(image.source, "not taken: no reference with a tag, a digest or a registry", text)

    def _image(self, image: Node, policy: Node, resource: _Resource) -> Iterator[Item]:
        if isinstance(image.value, (dict, list)) or image is MISSING:
            return
        self._seen.add(id(image))
        text = written = (image.text or "").strip()
        if known := resource.parameters:
            text = _PARAMETER.sub(lambda match: known.get(match[match.lastindex or 0], match[0]), text)
        late = _LATE.get(resource.group, "$(" if resource.is_custom else "")
        if policy.text == "Never":
            yield Note(image.source, "imagePullPolicy: Never, nothing to pull", text)
        elif late and late in text:
            yield Note(image.source, "known only at run time", text)
        elif why := _NOT_PULLED.get(text) or _NOT_PULLED.get(text[: len(_KO)]):
            yield Note(image.source, why)
        elif "{{" in text or "{%" in text:
            reason = "a template: render it first (helm template, kustomize build, …)"
            yield BadLine(image.source, text, reason, is_template=True)
        elif "$" in text:
            tool = "oc process" if resource.parameters else "envsubst"
            yield BadLine(image.source, text, f"contains a variable: run {tool} first", is_template=True)
        elif _PLACEHOLDER.search(text):
            yield BadLine(image.source, text, "contains a placeholder: replace it with the image", is_template=True)
        else:
            if text != written:
                yield Note(image.source, "taken as its default", written)
            yield entry_of(text, image.source)
