"""The structured formats: for each the functions that detect and parse it."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from puller.imagelist import array, compose, dockerfile, github, gitlab, kubernetes, skopeo
from puller.imagelist.entry import BadLine, Item, Note, Source
from puller.imagelist.nodes import Node, load
from puller.imagelist.source import ListSource


class Format(NamedTuple):
    """One structured format: how it is detected, parsed, and described in messages by its keys."""

    detect: Callable[[Sequence[Node], ListSource], bool]
    parse: Callable[[Sequence[Node], ListSource], Iterator[Item]]
    expected: str


FORMATS = {
    "kubernetes": Format(kubernetes.detect, kubernetes.parse, "apiVersion: and kind:"),
    "json": Format(array.detect, array.parse, "an array of references, or of objects with image or reference"),
    "github": Format(github.detect, github.parse, "jobs: or runs:"),
    "compose": Format(compose.detect, compose.parse, "services:"),
    "skopeo": Format(skopeo.detect, skopeo.parse, "a registry with images:"),
    "gitlab": Format(gitlab.detect, gitlab.parse, "jobs with script:"),
}
"""In the order of detection: the most distinctive format first."""
_UNKNOWN = (
    "unknown list format: expected Compose, Kubernetes, GitHub Actions, GitLab CI, skopeo sync, "
    "an array of references, or plain lines of text (--from names the format)"
)


def parse(data: bytes, source: ListSource, name: str | None = None, *, is_member: bool = False) -> Iterator[Item]:
    """Yield the items of a structured file or a Dockerfile in the format `name`, or else in the detected one.

    A member of a directory in no known format is left out with a note.
    """
    if name == "dockerfile":
        yield from dockerfile.parse(data, source.name)
        return
    parsed = load(data, source.name)
    documents, first = [*filter(None, parsed.documents)], Source(source.name, 1)
    found = name or next((each for each in FORMATS if documents and FORMATS[each].detect(documents, source)), None)
    if found:
        for note in parsed.repeated:
            if found == "compose":  # docker compose rejects such a file
                yield BadLine(note.source, "", note.text)
            else:
                yield Note(note.source, f"{note.text}: the last one is used")
        if parsed.problem or parsed.repeated:
            source = source._replace(compose=None)
        if name and not parsed.problem and not any(document.fields or document.items for document in documents):
            yield BadLine(first, "", f"not in the format {name}: expected {FORMATS[found].expected}")
        yield from FORMATS[found].parse(parsed.documents, source)
    if parsed.problem:
        yield parsed.problem
    elif not found and is_member:
        yield Note(Source(source.name), "left out: unknown list format")
    elif not found and documents:
        yield BadLine(first, "", _UNKNOWN)
