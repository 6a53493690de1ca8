"""What several reports say of outcomes in the same words: names, bad lines, and which failures belong together."""

from collections import Counter
from typing import TYPE_CHECKING

from puller.errors import FailureKind
from puller.model import Status
from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from puller.classify import Failure
    from puller.model import PullOutcome


def name(outcome: "PullOutcome") -> str:
    """Name an image as it was asked for first, safe to show."""
    return clean(str(outcome)) or "-"


def words(status: Status) -> str:
    """Say how an image ended: `up to date`."""
    return status.value.replace("_", " ")


def is_bad_line(outcome: "PullOutcome") -> bool:
    """Tell a line that names no image, which was skipped, from an image: nobody tried it."""
    why = outcome.failure
    return why is not None and why.kind is FailureKind.BAD_REFERENCE and not outcome.attempts


def by_failure(outcomes: "Iterable[PullOutcome]") -> "dict[Failure | None, list[PullOutcome]]":
    """Put together what failed alike, in order of first appearance."""
    groups: dict[Failure | None, list[PullOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.failure, []).append(outcome)
    return groups


def cancelled(outcomes: "Iterable[PullOutcome]") -> dict[str, int]:
    """Count the cancelled images by reason: there may be hundreds of them."""
    reasons: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.status is Status.CANCELLED:
            reason = clean(outcome.failure.message) if outcome.failure else ""
            reasons[reason] = reasons.get(reason, 0) + 1
    return reasons


def verdict(outcomes: "Iterable[PullOutcome]") -> str:
    """Say how many are here: `1 of 2 images are here`."""
    ends = [outcome.ok for outcome in outcomes]
    if not ends:
        return "no images: there was nothing to pull"
    return f"{sum(ends)} of {len(ends)} {'image is' if len(ends) == 1 else 'images are'} here"


def mirrors(outcomes: "Sequence[PullOutcome]") -> "Iterator[str]":
    """Say what is due to mirrors, what rests on their word alone, and which of them could not serve."""
    served = Counter(outcome.mirror for outcome in outcomes if outcome.mirror)
    for mirror, number in served.items():
        unconfirmed = sum(outcome.mirror == mirror and not outcome.confirmed for outcome in outcomes)
        line = f"mirror {clean(mirror)}: {number} {'image' if number == 1 else 'images'}"
        yield f"{line}, {unconfirmed} on its word alone: the registry itself is silent" if unconfirmed else line
    trouble = {
        (attempt.mirror, attempt.failure.kind): (outcome, attempt.failure)
        for outcome in reversed(outcomes)
        for attempt in reversed(outcome.attempts)
        if attempt.mirror and attempt.failure
    }
    for (mirror, kind), (outcome, why) in reversed(trouble.items()):
        yield f"mirror {clean(mirror)}: {kind} for {name(outcome)}: {clean(why.message)}"
