"""Google Cloud Build (https://cloud.google.com/build/docs/build-config-file-schema): the images that run the steps.

Those under `images` are what the build pushes.
"""

import re
from collections.abc import Iterator, Sequence

from puller.imagelist.entry import Item, Note, entry_of
from puller.imagelist.nodes import MISSING, Node
from puller.imagelist.source import ListSource

_KEYS = {
    "steps", "images", "substitutions", "timeout", "options", "tags", "serviceAccount", "artifacts", "logsBucket",
    "availableSecrets", "secrets", "queueTtl", "source", "dependencies", "gitConfig",
}  # fmt: skip
_SUBSTITUTION = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def detect(documents: Sequence[Node], source: ListSource) -> bool:  # noqa: ARG001 - the signature of all formats
    """Tell whether the first document has steps with a name, and only keys of a build."""
    root = documents[0]
    steps = root.get("steps").items
    return bool(steps) and root.fields.keys() <= _KEYS and all(step.get("name").text for step in steps)


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:  # noqa: ARG001
    """Yield the image of every step; substitutions have the values of the file."""
    root = documents[0] if documents else MISSING
    values = root.get("substitutions")
    for name in (step.get("name") for step in root.get("steps").items):
        text = _SUBSTITUTION.sub(lambda match: values.get(match[1] or match[2]).text or match[0], name.text or "")
        yield Note(name.source, "known only when the build runs", text) if "$" in text else entry_of(text, name.source)
