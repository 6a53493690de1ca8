"""Image lists: every kind of source becomes one stream of items. One file for each kind."""

from typing import TYPE_CHECKING, BinaryIO

from puller.errors import ListError
from puller.imagelist.entry import BadLine, Entry, Item, Note, Source, wanted
from puller.imagelist.origin import ComposeWay
from puller.imagelist.reading import KINDS, STDIN, read_list
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from puller.imagelist.origin import AskCompose


__all__ = ["KINDS", "BadLine", "Entry", "Item", "Note", "Source", "read"]


def read(
    lists: "Sequence[str]",
    images: "Sequence[str]" = (),
    *,
    kind: str | None = None,
    profiles: "Sequence[str]" = (),
    ask_compose: "AskCompose | None" = None,
    stdin: BinaryIO | None = None,
) -> "Iterator[Item]":
    """Yield what `lists` (paths, URLs, `-` for stdin) hold, then the references `images`, as they are read.

    Of each list its content and name tell the kind, unless `kind` (of KINDS) does; `profiles` are those of Compose,
    and what `ask_compose` answers about a Compose file that is a file decides which images it means.
    Raises ListError, on the way, for a list that cannot be read, and at the end when there was nothing in any, not
    even something to leave out.
    """
    if lists.count(STDIN) > 1:
        raise ListError(["-: stdin can be read only once"])
    compose = ComposeWay(tuple(profiles), ask_compose)
    empty = True
    for path in lists:
        for item in read_list(path, kind=kind, compose=compose, stdin=stdin):
            empty = empty and isinstance(item, Note) and item.passed_over
            yield item
    for image in images:
        empty = False
        yield wanted(image, Source("--image"))
    if empty:
        names = ["stdin" if path == STDIN else clean(path) for path in lists]
        raise ListError([f"{name}: no image reference in it" for name in names] or ["no image list was named"])
