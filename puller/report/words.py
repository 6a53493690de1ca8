"""Phrases that several reports and the progress display share."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from puller.errors import FailureKind
from puller.failure import Failure
from puller.model import PullOutcome, PullRequest, Report, Status
from puller.text import clean, counted, format_seconds, timestamp

STATUS_WIDTH = max(len(status) for status in Status)
"""Columns of the longest status."""


def image_name(image: PullOutcome | PullRequest) -> str:
    """Return the image as the user typed it, safe to print."""
    return clean(str(image)) or "-"


def status_words(status: Status) -> str:
    """Return a status for people, such as `up to date`."""
    return status.value.replace("_", " ")


def reason(failure: Failure) -> str:
    """Return the kind and the message of a failure as one line."""
    return f"{failure.kind}: {clean(failure.message)}"


def retry_time(failure: Failure) -> str:
    """Return a sentence with the time of `Failure.until`; empty without one."""
    return f"A retry may succeed at {timestamp(failure.until)}." if failure.until else ""


def explained(failure: Failure) -> list[str]:
    """Return the lines of a failure: its reason, the advice, and `retry_time` if there is one."""
    return list(filter(None, (reason(failure), clean(failure.advice), retry_time(failure))))


def ending(outcome: PullOutcome) -> str:
    """Return what to show beside the status: the time that the image took, or why it is missing."""
    if outcome.failure is None:
        return format_seconds(outcome.seconds) + (f"; warning: {clean(outcome.warning)}" if outcome.warning else "")
    return clean(outcome.failure.message) if outcome.status is Status.CANCELLED else reason(outcome.failure)


def is_bad_line(outcome: PullOutcome) -> bool:
    """Tell whether this is an invalid line of a list that was skipped, and not an image."""
    why = outcome.failure
    return why is not None and why.kind is FailureKind.BAD_REFERENCE and not outcome.attempts


def by_failure(outcomes: Iterable[PullOutcome]) -> dict[Failure | None, list[PullOutcome]]:
    """Group outcomes with equal failures, in order of first appearance."""
    groups: dict[Failure | None, list[PullOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.failure, []).append(outcome)
    return groups


def cancelled(outcomes: Iterable[PullOutcome]) -> dict[str, int]:
    """Count the cancelled images by reason."""
    return Counter(
        clean(outcome.failure.message) if outcome.failure else ""
        for outcome in outcomes
        if outcome.status is Status.CANCELLED
    )


def verdict(outcomes: Iterable[PullOutcome]) -> str:
    """Return how many images are present: `1 of 2 images are present`."""
    ends = [outcome.ok for outcome in outcomes]
    if not ends:
        return "no images: there was nothing to pull"
    return f"{sum(ends)} of {len(ends)} {'image is' if len(ends) == 1 else 'images are'} present"


def totals(report: Report) -> str:
    """Return the number of images by status and the time of the run: `1 pulled, 1 failed in 12s`."""
    parts = ", ".join(f"{number} {status_words(status)}" for status, number in report.counts.items() if number)
    return f"{parts} in {format_seconds(report.seconds)}"


def warnings(outcomes: Iterable[PullOutcome]) -> Iterator[str]:
    """Yield a line for each image with a warning."""
    yield from (f"warning: {image_name(each)}: {clean(each.warning)}" for each in outcomes if each.warning)


def notes(outcomes: Sequence[PullOutcome]) -> Iterator[str]:
    """Yield a line for each mirror that served images, each failure of a mirror, and each warning."""
    served = Counter(outcome.mirror for outcome in outcomes if outcome.mirror)
    for mirror, number in served.items():
        unconfirmed = sum(outcome.mirror == mirror and not outcome.confirmed for outcome in outcomes)
        line = f"mirror {clean(mirror)}: {counted(number, 'image')}"
        yield f"{line}, {unconfirmed} not confirmed: the registry itself did not answer" if unconfirmed else line
    failed = {
        (attempt.mirror, attempt.failure.kind): (outcome, attempt.failure)
        for outcome in reversed(outcomes)
        for attempt in reversed(outcome.attempts)
        if attempt.mirror and attempt.failure
    }
    for (mirror, kind), (outcome, why) in reversed(failed.items()):
        yield f"mirror {clean(mirror)}: {kind} for {image_name(outcome)}: {clean(why.message)}"
    yield from warnings(outcomes)
