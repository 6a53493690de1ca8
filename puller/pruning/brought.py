"""Which names puller gave the images of an engine, and what becomes of that knowledge run by run. Pure.

What was there before a pull was brought by somebody else, whoever pulls it again. What somebody else names, or moves a
tag to, later is theirs.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from puller.model import Status
from puller.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from puller.holdings import Held, Holdings
    from puller.model import PullOutcome


@dataclass(frozen=True, slots=True)
class Brought:
    """One name that puller gave one image by a pull."""

    name: str
    """In full, with its tag or its digest: `docker.io/library/nginx:1.27`."""
    identity: str
    """The image's ID in that engine."""
    digest: str | None
    """What the name stood for in the registry."""
    brought: str
    """When, in UTC as RFC 3339 has it, which sorts."""
    wanted: str
    """When a pull last named it."""
    new: bool
    """Whether the engine had no such image before, under no name."""
    named: bool = True
    """False for good once the name was seen to stand for nothing, or for something else."""


def names_of(reference: ImageReference) -> tuple[str, ...]:
    """Give the names that a pull of a reference gives an image: its tag, its digest, or both."""
    tag = (f"{reference.name}:{reference.tag}",) if reference.tag else ()
    return (*tag, *((f"{reference.name}@{reference.digest}",) if reference.digest else ()))


def after_pulls(
    known: "Iterable[Brought]",
    outcomes: "Iterable[PullOutcome]",
    now: str,
    before: "Holdings | None" = None,
    after: "Holdings | None" = None,
) -> tuple[Brought, ...]:
    """Add what a run brought to what is known, in the order of the list, and note what it wanted.

    `before` is what the engine held before the first pull, `after` what it holds now; without them, which is the
    case when nothing was pulled, nothing is added.
    """
    asked = [(name, outcome) for outcome in outcomes for name in _names(outcome)]
    wanted = {name for name, _ in asked}
    entries = {
        (entry.name, entry.identity): replace(entry, wanted=now) if entry.named and entry.name in wanted else entry
        for entry in known
    }
    if before is None or after is None:
        return tuple(entries.values())
    fresh: set[str] = set()
    # What was pulled comes first: a second name of the same image is up to date in this very run.
    for name, outcome in sorted(asked, key=lambda each: each[1].status is not Status.PULLED):
        held, was = after.named(name), before.named(name)
        if held is None or (was and was.identity == held.identity) or not _stands_for(held, name, outcome):
            continue
        if outcome.status is not Status.PULLED and not (outcome.ok and held.identity in fresh):
            continue
        new = before.of(held.identity) is None or any(
            entry.new for entry in entries.values() if entry.identity == held.identity
        )
        fresh.update([held.identity] if new else ())
        entries.pop((name, held.identity), None)
        entries[name, held.identity] = Brought(name, held.identity, outcome.digest, now, now, new)
    return settled(entries.values(), after)


def settled(known: "Iterable[Brought]", held: "Holdings") -> tuple[Brought, ...]:
    """Forget what has gone; of a name that is not puller's any more, only that puller brought the image is kept."""
    kept = []
    for entry in known:
        image = held.named(entry.name)
        named = entry.named and image is not None and image.identity == entry.identity
        if held.of(entry.identity) and (named or entry.new):
            kept.append(replace(entry, named=named))
    return tuple(kept)


def _stands_for(held: "Held", name: str, outcome: "PullOutcome") -> bool:
    """Whether a name is still on what was pulled: somebody else may have moved it since."""
    digests = held.digests_in(ImageReference.parse(name).name)
    return not outcome.digest or not digests or outcome.digest in digests


def _names(outcome: "PullOutcome") -> "Iterator[str]":
    try:
        yield from names_of(ImageReference.parse(outcome.reference))
    except ValueError:
        return  # a bad line of a list
