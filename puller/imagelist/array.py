"""Arrays in JSON or YAML of references, or of objects with `image` or `reference`, such as puller's own documents."""

from collections.abc import Iterator, Sequence

from puller.imagelist.entry import BadLine, Item, entry_of
from puller.imagelist.nodes import LITERAL, Node
from puller.imagelist.source import ListSource

_NAMES = ("image", "reference")


def detect(documents: Sequence[Node], source: ListSource) -> bool:  # noqa: ARG001 - the signature of all formats
    """Tell whether the first document is an array of images, or has one in `images`."""
    array = _array(documents[0])
    return array is not None and (not array.items or any(_reference(member) for member in array.items))


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:  # noqa: ARG001
    """Yield every element; an object may also have a `platform`."""
    for document in documents:
        for member in (_array(document) or document).items:
            reference = _reference(member)
            platform = member.get("platform")
            if reference is None or reference.text is None:
                yield BadLine(member.source, "", "expected a reference, or an object with image or reference")
            else:
                yield entry_of(reference.text, reference.source, platform.text if platform else None)


def _array(document: Node) -> Node | None:
    if isinstance(document.value, list):
        return document
    images = document.get("images")
    return images if images and isinstance(images.value, list) else None


def _reference(member: Node) -> Node | None:
    if member.text is not None:
        return None if member.tag == LITERAL else member
    return next((found for name in _NAMES if (found := member.get(name)) and found.text is not None), None)
