"""The kinds of structured lists: how each is recognised, and who reads it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from puller.imagelist import array, compose, github, gitlab, jsonnodes, kubernetes, skopeo, yamlnodes
from puller.imagelist.entry import BadLine, Item, Note, Source
from puller.imagelist.nodes import Parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from puller.imagelist.nodes import Node
    from puller.imagelist.origin import Origin


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of structured list."""

    detect: "Callable[[Sequence[Node], Origin], bool]"
    """Whether these documents are of this kind."""
    parse: "Callable[[Sequence[Node], Origin], Iterator[Item]]"
    wants: str
    """What such a file has to have, for a complaint."""
    once: bool = False
    """Whether its own tool refuses a key that stands twice."""


KINDS: dict[str, Kind] = {
    "kubernetes": Kind(kubernetes.detect, kubernetes.parse, "apiVersion: and kind:"),
    "json": Kind(array.detect, array.parse, "an array of references, or of objects with image or reference"),
    "github": Kind(github.detect, github.parse, "jobs: or runs:"),
    "compose": Kind(compose.detect, compose.parse, "services:", once=True),
    "skopeo": Kind(skopeo.detect, skopeo.parse, "a registry with images:"),
    "gitlab": Kind(gitlab.detect, gitlab.parse, "jobs with script:"),
}
"""In the order in which they are tried: the most telling marks first."""


def parse(parsed: Parsed, origin: "Origin", kind: str | None = None) -> "Iterator[Item]":
    """Yield what a structured file means; of the `kind` that is given, or else of the one that its values tell."""
    found = kind or recognise(parsed, origin)
    if found:
        yield from _complain(parsed, once=KINDS[found].once)
        if parsed.problem or parsed.repeated:  # the file is refused already: nobody need be asked about it
            origin = replace(origin, compose=origin.compose.alone)
        if kind and not any(document.fields or document.items for document in parsed.documents) and not parsed.problem:
            yield BadLine(Source(origin.name, 1), "", f"not of the kind {kind}: expected {KINDS[kind].wants}")
        yield from KINDS[found].parse(parsed.documents, origin)
    if parsed.problem:
        yield parsed.problem
    elif not found and any(document.value is not None for document in parsed.documents):
        yield BadLine(Source(origin.name, 1), "", unknown())


def unknown() -> str:
    """Say what was expected of a structured file that is of no kind."""
    return (
        "no kind of list that puller knows: expected Compose, Kubernetes, GitHub Actions, GitLab CI, skopeo sync, "
        "an array of references, or plain lines of text (--from says which)"
    )


def load(data: bytes, origin: "Origin") -> Parsed:
    """Read JSON or YAML, whichever it is."""
    try:
        text = data.decode().removeprefix("\ufeff").replace("\n\ufeff", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Parsed(problem=BadLine(Source(origin.name, line), "", "not valid UTF-8"))
    if text.lstrip()[:1] in ("{", "["):
        parsed = jsonnodes.parse(text, origin.name)
        if not parsed.problem or origin.file.lower().endswith(".json"):
            return parsed
    return yamlnodes.parse(text, origin.name)


def recognise(parsed: Parsed, origin: "Origin") -> str | None:
    """Name the kind that these values are of; None when they are of none."""
    documents = [document for document in parsed.documents if document.value is not None]
    return next((name for name, kind in KINDS.items() if documents and kind.detect(documents, origin)), None)


def _complain(parsed: Parsed, *, once: bool) -> "Iterator[Item]":
    for key in parsed.repeated:
        if once:
            yield BadLine(key.source, "", f"the key {key.key} stood on line {key.first} already: remove one")
        else:
            yield Note(key.source, f"the key {key.key} stood on line {key.first} already: this one counts")
