"""What several reports say of outcomes in the same words: names, bad lines, and which failures belong together."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from puller.errors import FailureKind
from puller.failure import Failure
from puller.model import PullOutcome, PullRequest, Status
from puller.text import clean, format_seconds


def name(outcome: PullOutcome) -> str:
    """Name an image as it was asked for first, safe to show."""
    return clean(str(outcome)) or "-"


def words(status: Status) -> str:
    """Say how an image ended: `up to date`."""
    return status.value.replace("_", " ")


def is_bad_line(outcome: PullOutcome) -> bool:
    """Tell a line that names no image, which was skipped, from an image: nobody tried it."""
    why = outcome.failure
    return why is not None and why.kind is FailureKind.BAD_REFERENCE and not outcome.attempts


def by_failure(outcomes: Iterable[PullOutcome]) -> dict[Failure | None, list[PullOutcome]]:
    """Put together what failed alike, in order of first appearance."""
    groups: dict[Failure | None, list[PullOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.failure, []).append(outcome)
    return groups


def cancelled(outcomes: Iterable[PullOutcome]) -> dict[str, int]:
    """Count the cancelled images by reason: there may be hundreds of them."""
    reasons: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.status is Status.CANCELLED:
            reason = clean(outcome.failure.message) if outcome.failure else ""
            reasons[reason] = reasons.get(reason, 0) + 1
    return reasons


def verdict(outcomes: Iterable[PullOutcome]) -> str:
    """Say how many are here: `1 of 2 images are here`."""
    ends = [outcome.ok for outcome in outcomes]
    if not ends:
        return "no images: there was nothing to pull"
    return f"{sum(ends)} of {len(ends)} {'image is' if len(ends) == 1 else 'images are'} here"


def mirrors(outcomes: Sequence[PullOutcome]) -> Iterator[str]:
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


STATUS_WIDTH = max(len(status) for status in Status)
"""Columns that the longest status takes."""


def request_name(request: PullRequest) -> str:
    """Name the image as the user typed it, safe to show."""
    return clean(str(request))


def status_words(status: Status) -> str:
    """Say how an image ended: `up to date`."""
    return status.value.replace("_", " ")


def reason(failure: Failure) -> str:
    """Say why in one line: the kind, and the engine's own words."""
    return f"{failure.kind}: {clean(failure.message)}"


def ending(outcome: PullOutcome) -> str:
    """Say what is worth knowing beside the status: how long it took, or why it is not there."""
    if outcome.failure is None:
        return format_seconds(outcome.seconds)
    return clean(outcome.failure.message) if outcome.status is Status.CANCELLED else reason(outcome.failure)
