"""Requests, outcomes and reports to test with: one line each, with defaults that look like real life."""

from datetime import UTC, datetime

from puller.errors import FailureKind
from puller.failure import Failure, failure
from puller.image.reference import ImageReference, Platform
from puller.model import Attempt, PullOutcome, PullRequest, Report, Status

DIGEST = "sha256:" + "0123456789abcdef" * 4
STARTED = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)

_FAILURES = {
    Status.FAILED: failure(FailureKind.NOT_FOUND, "manifest unknown"),
    Status.CANCELLED: failure(FailureKind.CANCELLED, "interrupted"),
}


def request(text: str = "nginx:1.27", platform: str | None = None) -> PullRequest:
    """Ask for one image, as a list with one spelling of it would."""
    return PullRequest(ImageReference.parse(text), Platform.parse(platform) if platform else None, (text,))


def outcome(
    text: str = "nginx:1.27",
    status: Status = Status.PULLED,
    *,
    platform: str | None = None,
    attempts: int = 1,
    seconds: float = 4.2,
    why: Failure | None = None,
) -> PullOutcome:
    """End one image: there with a digest, or not there with a failure."""
    reason = why or _FAILURES.get(status)
    tries = tuple(Attempt(float(n), 1.0, reason if n == attempts - 1 else None) for n in range(attempts))
    digest = None if reason else DIGEST
    return PullOutcome.of(
        request(text, platform), status, digest=digest, attempts=tries, seconds=seconds, failure=reason
    )


def report(*outcomes: PullOutcome, seconds: float = 12.3456, stopped: str = "") -> Report:
    """Report on these outcomes, or on one image of every status."""
    return Report(STARTED, seconds, outcomes or every_status(), stopped)


def every_status() -> tuple[PullOutcome, ...]:
    """One image for each way to end."""
    ends = [status for status in Status if status is not Status.PENDING]
    return tuple(outcome(f"example/{status.value.replace('_', '-')}:1", status) for status in ends)
