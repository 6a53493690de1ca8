"""The structured formats: for each the functions that detect and parse it."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from puller.imagelist import array, cloudbuild, compose, dockerfile, github, gitlab, kubernetes, skopeo, text
from puller.imagelist.builds import NO_BUILD, builds_of
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
    "cloudbuild": Format(cloudbuild.detect, cloudbuild.parse, "steps: with name:"),
    "json": Format(array.detect, array.parse, "an array of references, or of objects with image or reference"),
    "github": Format(github.detect, github.parse, "jobs: or runs:"),
    "compose": Format(compose.detect, compose.parse, "services:"),
    "skopeo": Format(skopeo.detect, skopeo.parse, "a registry with images:"),
    "gitlab": Format(gitlab.detect, gitlab.parse, "jobs with script:"),
}
"""In the order of detection: the most distinctive format first."""
_MAY_HIDE_IMAGES = re.compile(rb"(?i)image['\"]?\s*:")
_UNKNOWN = (
    "unknown list format: expected Compose, Kubernetes, GitHub Actions, GitLab CI, Cloud Build, skopeo sync, "
    "an array of references, or plain lines of text (--from names the format)"
)


def parse(data: bytes, source: ListSource, name: str | None = None) -> Iterator[Item]:
    """Yield the items of a structured file or a Dockerfile in the format `name`, or else in the detected one.

    A member of a directory in no known format is left out with a note. Another file in none may be a text list with
    lines that look like YAML.
    """
    if name == "dockerfile":
        yield from _dockerfile(data, source)
        return
    parsed = load(data, source.name)
    documents, first = [*filter(None, parsed.documents)], Source(source.name, 1)
    found = name or _detected(documents, source)
    if not found and not source.is_member and text.is_plain(data):
        yield from text.parse(io.BytesIO(data), source.name)
        return
    if found:
        for note in parsed.repeated:
            again = Note(note.source, "the last one is used", note.text)
            yield BadLine(note.source, "", note.text) if found == "compose" else again  # docker compose rejects it
        if parsed.problem or parsed.repeated:
            source = source._replace(compose=None)
        if name and not parsed.problem and not any(document.fields or document.items for document in documents):
            yield BadLine(first, "", f"not in the format {name}: expected {FORMATS[found].expected}")
        yield from FORMATS[found].parse(parsed.documents, source)
    hides_nothing = source.is_member and not found and not (parsed.problem and _MAY_HIDE_IMAGES.search(data))
    if hides_nothing:
        why = "neither YAML nor JSON that puller can read" if parsed.problem else "unknown list format"
        yield Note(Source(source.name), f"left out: {why}")
    elif parsed.problem or (documents and not found):
        yield parsed.problem or BadLine(first, "", _UNKNOWN)


def _dockerfile(data: bytes, source: ListSource) -> Iterator[Item]:
    items: dict[Item, None] = {}
    for build in [*builds_of(source)] or [NO_BUILD]:
        given = build._replace(arguments={**build.arguments, **source.selection.build_args})
        if build.arguments or build.contexts:
            items[Note(Source(source.name), f"read with the build settings of {build.name}", is_detail=True)] = None
        items |= dict.fromkeys(dockerfile.parse(data, source.name, given, is_member=source.is_member))
    yield from items


def _detected(documents: Sequence[Node], source: ListSource) -> str | None:
    found = next((each for each in FORMATS if documents and FORMATS[each].detect(documents, source)), None)
    return None if found == "json" and source.is_member and not array.is_surely_a_list(documents) else found
