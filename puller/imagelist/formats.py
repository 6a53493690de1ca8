"""The structured formats: for each the functions that detect and parse it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from puller.imagelist import array, compose, github, gitlab, kubernetes, skopeo
from puller.imagelist.entry import BadLine, Item, Note, Source
from puller.imagelist.nodes import Node, Parsed
from puller.imagelist.source import ListSource


@dataclass(frozen=True, slots=True)
class Format:
    """One structured format."""

    detect: Callable[[Sequence[Node], ListSource], bool]
    """Tells whether documents are in this format."""
    parse: Callable[[Sequence[Node], ListSource], Iterator[Item]]
    expected: str
    """The keys of this format, for messages."""
    unique_keys: bool = False
    """Whether the tool behind the format rejects a mapping with a duplicate key."""


FORMATS: dict[str, Format] = {
    "kubernetes": Format(kubernetes.detect, kubernetes.parse, "apiVersion: and kind:"),
    "json": Format(array.detect, array.parse, "an array of references, or of objects with image or reference"),
    "github": Format(github.detect, github.parse, "jobs: or runs:"),
    "compose": Format(compose.detect, compose.parse, "services:", unique_keys=True),
    "skopeo": Format(skopeo.detect, skopeo.parse, "a registry with images:"),
    "gitlab": Format(gitlab.detect, gitlab.parse, "jobs with script:"),
}
"""In the order of detection: the most distinctive format first."""
UNKNOWN = (
    "unknown list format: expected Compose, Kubernetes, GitHub Actions, GitLab CI, skopeo sync, "
    "an array of references, or plain lines of text (--from names the format)"
)


def parse(parsed: Parsed, source: ListSource, name: str | None = None) -> Iterator[Item]:
    """Yield the items of a structured file in the format `name`, or else in the detected one."""
    found = name or recognise(parsed, source)
    if found:
        yield from _repeated(parsed, refused=FORMATS[found].unique_keys)
        if parsed.problem or parsed.repeated:  # docker compose would reject this file
            source = replace(source, compose=replace(source.compose, ask=None))
        if name and not any(document.fields or document.items for document in parsed.documents) and not parsed.problem:
            yield BadLine(Source(source.name, 1), "", f"not in the format {name}: expected {FORMATS[name].expected}")
        yield from FORMATS[found].parse(parsed.documents, source)
    if parsed.problem:
        yield parsed.problem
    elif not found and any(document.value is not None for document in parsed.documents):
        yield BadLine(Source(source.name, 1), "", UNKNOWN)


def recognise(parsed: Parsed, source: ListSource) -> str | None:
    """Return the name of the detected format; None if there is none."""
    documents = [document for document in parsed.documents if document.value is not None]
    return next((name for name, each in FORMATS.items() if documents and each.detect(documents, source)), None)


def _repeated(parsed: Parsed, *, refused: bool) -> Iterator[Item]:
    for key in parsed.repeated:
        text = f"duplicate key {key.key} (first on line {key.first})"
        yield BadLine(key.source, "", text) if refused else Note(key.source, f"{text}: the last one is used")
