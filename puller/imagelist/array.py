"""Arrays in JSON or YAML of references, or of objects with `image` or `reference`, such as puller's own documents."""

from collections.abc import Iterator, Sequence

from puller.image.reference import ImageReference
from puller.imagelist.entry import BadLine, Item, entry_of, is_explicit
from puller.imagelist.nodes import LITERAL, Node
from puller.imagelist.source import ListSource


def detect(documents: Sequence[Node], source: ListSource) -> bool:  # noqa: ARG001 - the signature of all formats
    """Tell whether the first document is an array of images, or has one in `images`."""
    array = _array(documents[0])
    return isinstance(array.value, list) and (not array.items or any(map(_reference, array.items)))


def parse(documents: Sequence[Node], source: ListSource) -> Iterator[Item]:  # noqa: ARG001
    """Yield every element; an object may also have a `platform`."""
    for document in documents:
        for member in _array(document).items:
            if (reference := _reference(member)) and reference.text is not None:
                yield entry_of(reference.text, reference.source, member.get("platform").text)
            else:
                yield BadLine(member.source, "", "expected a reference, or an object with image or reference")


def is_surely_a_list(documents: Sequence[Node]) -> bool:
    """Tell whether an array in some file is one of images: all are references, and not all of them mere words.

    Of objects one must have a tag or a digest: many have an `image` that is a file.
    """
    members = [member for document in documents for member in _array(document).items]
    texts = [(node.text or "") if (node := _reference(member)) else "" for member in members]
    have_tags = any({":", "@"}.intersection(text.rpartition("/")[2]) for text in texts)
    are_texts = all(member.text is not None for member in members)
    return all(map(ImageReference.read, texts)) and (have_tags or (are_texts and any(map(is_explicit, texts))))


def _array(document: Node) -> Node:
    return document if isinstance(document.value, list) else document.get("images")


def _reference(member: Node) -> Node | None:
    found = (member, member.get("image"), member.get("reference"))
    return None if member.tag == LITERAL else next((each for each in found if each.text is not None), None)
