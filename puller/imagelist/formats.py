"""The structured formats of lists: how each is recognised, and what reads it."""

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
    """Whether these documents are in this format."""
    parse: Callable[[Sequence[Node], ListSource], Iterator[Item]]
    expected: str
    """What such a file has to have, for a message."""
    unique_keys: bool = False
    """Whether the tool that owns the format refuses a mapping with a repeated key."""


FORMATS: dict[str, Format] = {
    "kubernetes": Format(kubernetes.detect, kubernetes.parse, "apiVersion: and kind:"),
    "json": Format(array.detect, array.parse, "an array of references, or of objects with image or reference"),
    "github": Format(github.detect, github.parse, "jobs: or runs:"),
    "compose": Format(compose.detect, compose.parse, "services:", unique_keys=True),
    "skopeo": Format(skopeo.detect, skopeo.parse, "a registry with images:"),
    "gitlab": Format(gitlab.detect, gitlab.parse, "jobs with script:"),
}
"""In the order in which they are tried: the one with the clearest marks first."""
UNKNOWN = (
    "not a list format that puller knows: expected Compose, Kubernetes, GitHub Actions, GitLab CI, skopeo sync, "
    "an array of references, or plain lines of text (--from names the format)"
)


def parse(parsed: Parsed, source: ListSource, name: str | None = None) -> Iterator[Item]:
    """Yield what a structured file means, in the format `name`, or else in the one that it is recognised as."""
    found = name or recognise(parsed, source)
    if found:
        yield from _repeated(parsed, refused=FORMATS[found].unique_keys)
        if parsed.problem or parsed.repeated:  # the file is refused already: there is nothing to ask about it
            source = replace(source, compose=source.compose.alone)
        if name and not any(document.fields or document.items for document in parsed.documents) and not parsed.problem:
            yield BadLine(Source(source.name, 1), "", f"not in the format {name}: expected {FORMATS[name].expected}")
        yield from FORMATS[found].parse(parsed.documents, source)
    if parsed.problem:
        yield parsed.problem
    elif not found and any(document.value is not None for document in parsed.documents):
        yield BadLine(Source(source.name, 1), "", UNKNOWN)


def recognise(parsed: Parsed, source: ListSource) -> str | None:
    """Return the name of the format of these documents; None when they are in none."""
    documents = [document for document in parsed.documents if document.value is not None]
    return next((name for name, each in FORMATS.items() if documents and each.detect(documents, source)), None)


def _repeated(parsed: Parsed, *, refused: bool) -> Iterator[Item]:
    for key in parsed.repeated:
        text = f"the key {key.key} is already on line {key.first}"
        yield (
            BadLine(key.source, "", f"{text}: remove one") if refused else Note(key.source, f"{text}: this one counts")
        )
