"""The words that all displays share, so that a line reads the same in a log and above the live view."""

from typing import TYPE_CHECKING

from puller.model import Status
from puller.text import clean, format_seconds

if TYPE_CHECKING:
    from puller.classify import Failure
    from puller.model import PullOutcome, PullRequest

STATUS_WIDTH = max(len(status) for status in Status)
"""Columns that the longest status takes."""


def name(request: "PullRequest") -> str:
    """Name the image as the user typed it, safe to show."""
    return clean(str(request))


def status_words(status: Status) -> str:
    """Say how an image ended: `up to date`."""
    return status.value.replace("_", " ")


def reason(failure: "Failure") -> str:
    """Say why in one line: the kind, and the engine's own words."""
    return f"{failure.kind}: {clean(failure.message)}"


def ending(outcome: "PullOutcome") -> str:
    """Say what is worth knowing beside the status: how long it took, or why it is not there."""
    if outcome.failure is None:
        return format_seconds(outcome.seconds)
    return clean(outcome.failure.message) if outcome.status is Status.CANCELLED else reason(outcome.failure)
