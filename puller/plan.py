"""From what lists say to what is done: every image once, every spelling kept, every bad line accounted for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from puller.classify import failure
from puller.errors import FailureKind
from puller.imagelist.entry import BadLine, Entry
from puller.model import PullOutcome, PullRequest, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from puller.reference import ImageReference, Platform


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will pull, and the lines it could not read."""

    requests: tuple[PullRequest, ...]
    """In the order of first appearance, no two for the same image and platform."""
    bad: tuple[BadLine, ...] = ()

    @property
    def rejected(self) -> tuple[PullOutcome, ...]:
        """The bad lines as failed outcomes, so that a run which skips them still reports them."""
        return tuple(_rejected(line) for line in self.bad)


def plan(entries: "Iterable[Entry | BadLine]", *, platform: "Platform | None" = None) -> Plan:
    """Make one request for each image and platform; `platform` is for entries that name none.

    Whatever `entries` raises (`ListError` when it reads lists) goes through.
    """
    spellings: dict[tuple[ImageReference, Platform | None], tuple[str, ...]] = {}
    bad = []
    for entry in entries:
        if isinstance(entry, BadLine):
            bad.append(entry)
            continue
        key = (entry.reference, entry.platform or platform)
        known = spellings.get(key, ())
        if entry.reference.text not in known:
            spellings[key] = (*known, entry.reference.text)
    requests = (PullRequest(reference, target, texts) for (reference, target), texts in spellings.items())
    return Plan(tuple(requests), tuple(bad))


def _rejected(line: BadLine) -> PullOutcome:
    shown = line.text or str(line.source)
    why = failure(FailureKind.BAD_REFERENCE, f"{line.source}: {line.reason}")
    return PullOutcome(shown, (shown,), Status.FAILED, failure=why)
