"""The items of lists as requests: each image once, with all its spellings, and all bad lines."""

from collections.abc import Iterable
from typing import NamedTuple

from puller.errors import FailureKind
from puller.failure import failure
from puller.image.reference import ImageReference, Platform
from puller.imagelist.entry import BadLine, Item, Note, Source
from puller.model import PullOutcome, PullRequest, Status

MOST_BAD = 100
"""Invalid lines that are kept; of the others there is only the number."""


class RequestedImages(NamedTuple):
    """The images of all lists, and the lines that are not valid."""

    requests: tuple[PullRequest, ...]
    """In the order of first appearance, each image and platform once."""
    bad: tuple[BadLine, ...] = ()
    """The first hundred, and then one with the number of the others."""
    notes: tuple[Note, ...] = ()
    """What is left out on purpose."""
    sources: tuple[tuple[Source, ...], ...] = ()
    """The places of each request, in the order of `requests`; empty unless requested."""

    @property
    def rejected(self) -> tuple[PullOutcome, ...]:
        """The bad lines as failed outcomes, which a run reports even if it skips them."""
        return tuple(map(_rejected, self.bad))


def _rejected(line: BadLine) -> PullOutcome:
    shown = line.text or str(line.source)
    why = failure(FailureKind.BAD_REFERENCE, f"{line.source}: {line.reason}")
    why = why if line.text else why._replace(advice="Correct the list at this line.")
    return PullOutcome(shown, (shown,), Status.FAILED, failure=why)


def request_images(
    items: Iterable[Item], *, platform: Platform | None = None, keep_sources: bool = False
) -> RequestedImages:
    """Make one request for each image and platform; `platform` is for entries that name none.

    With `keep_sources` the result knows where each request was written, which costs memory in a long list.
    Whatever `items` raises (`ListError` when it reads lists) goes through.
    """
    spellings: dict[tuple[ImageReference, Platform | None], tuple[str, ...]] = {}
    sources: dict[tuple[ImageReference, Platform | None], list[Source]] = {}
    buildable, wanted = set(), set()
    bad: list[BadLine] = []
    notes: list[Note] = []
    more = 0
    for item in items:
        if isinstance(item, BadLine):
            more += len(bad) == MOST_BAD
            bad += [item] if len(bad) < MOST_BAD else ()
        elif isinstance(item, Note):
            notes.append(item)
        else:
            key = (item.reference, item.platform or platform)
            known = spellings.get(key, ())
            if item.reference.text not in known:
                spellings[key] = (*known, item.reference.text)
            if item.buildable:
                buildable.add(key)
            if not item.if_missing:
                wanted.add(key)
            if keep_sources:
                sources.setdefault(key, []).append(item.source)
    if more:
        bad.append(BadLine(Source(bad[-1].source.name), "", f"{more} more invalid lines"))
    requests = (PullRequest(*key, texts, key in buildable, key not in wanted) for key, texts in spellings.items())
    where = (tuple(dict.fromkeys(places)) for places in sources.values())
    return RequestedImages(tuple(requests), tuple(bad), tuple(notes), tuple(where))
