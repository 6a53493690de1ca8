"""The frozen values of a session: what is asked for, what each attempt did, what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from puller.errors import ExitCode, FailureClass, FailureKind
from puller.failure import Failure
from puller.image.reference import ImageReference, Platform

ENGINE_GONE = {
    FailureKind.CLIENT_MISSING,
    FailureKind.CONTAINERD_UNREACHABLE,
    FailureKind.DAEMON_UNREACHABLE,
    FailureKind.SOCKET_PERMISSION,
}
"""Kinds of failure that mean: no engine could be reached."""
_MAY_PASS = {FailureClass.TRANSIENT, FailureClass.RATE_LIMITED}


class Status(StrEnum):
    """How an image ended."""

    PULLED = "pulled"
    """Something was fetched."""
    UP_TO_DATE = "up_to_date"
    """The engine already had exactly this."""
    PRESENT = "present"
    """The engine has the name; nobody asked the registry whether it is the newest."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Not tried, or broken off, because the run was stopped."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One image to pull: unique in its run by reference and platform."""

    reference: ImageReference
    platform: Platform | None = None
    """None means the engine's own."""
    requested: tuple[str, ...] = ()
    """Every spelling that the lists use for it, in order."""

    def __str__(self) -> str:
        """Say what a person typed, with the platform where one was asked for."""
        return f"{self.reference.text} ({self.platform})" if self.platform else self.reference.text


@dataclass(frozen=True, slots=True)
class EngineResult:
    """What an engine says after a pull that went well."""

    digest: str | None
    """What the reference resolves to in the registry; None where the engine will not say."""
    up_to_date: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A phase of an attempt."""

    phase: str
    """A word of `puller.events.Phase`, or of another puller that wrote the report."""
    started: float
    """Seconds since the attempt began."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one image."""

    started: float
    """Seconds since puller began with the image."""
    seconds: float
    failure: Failure | None
    phases: tuple[Span, ...] = ()
    """What the engine did meanwhile, in order; what lies between two attempts is waiting."""
    bytes: int = 0
    """Compressed bytes fetched, as far as the engine told."""
    mirror: str | None = None
    """Where it was pulled from, when that was not the registry itself."""


@dataclass(frozen=True, slots=True)
class PullOutcome:
    """What came of one image. For a line that is no reference, `reference` is that line made safe to show."""

    reference: str
    requested: tuple[str, ...]
    status: Status
    platform: Platform | None = None
    digest: str | None = None
    attempts: tuple[Attempt, ...] = ()
    """Tries through the engine: none where a look was enough."""
    seconds: float = 0.0
    """From when puller began with the image to its end, waits between attempts included."""
    failure: Failure | None = None
    """Why it failed or was cancelled; None exactly when the image is there."""
    began: float = 0.0
    """Seconds from the beginning of the run to that of the image: so long it was queued."""
    mirror: str | None = None
    """The mirror that it came from, or that vouches for it; None where its own registry did."""
    confirmed: bool = True
    """False where only a mirror said which digest this is, because the registry itself was silent."""
    host: str | None = None
    """The host whose engine has it, or should have it; None for the only engine of a run."""

    @classmethod
    def of(
        cls,
        request: PullRequest,
        status: Status,
        *,
        digest: str | None = None,
        attempts: tuple[Attempt, ...] = (),
        seconds: float = 0.0,
        failure: Failure | None = None,
        began: float = 0.0,
    ) -> "PullOutcome":
        """Build the outcome of a request."""
        reference = request.reference
        requested = request.requested or (reference.text,)
        name, platform = reference.canonical, request.platform
        return cls(name, requested, status, platform, digest, attempts, seconds, failure, began)

    def by(self, mirror: str, *, confirmed: bool) -> "PullOutcome":
        """Give the same outcome with the mirror to which it is due."""
        return replace(self, mirror=mirror, confirmed=confirmed)

    @property
    def bytes(self) -> int:
        """Compressed bytes fetched in all attempts, as far as the engine told."""
        return sum(attempt.bytes for attempt in self.attempts)

    @property
    def ok(self) -> bool:
        """Whether the image is there."""
        return self.status in (Status.PULLED, Status.UP_TO_DATE, Status.PRESENT)

    def __str__(self) -> str:
        """Say the first spelling in the list, with the platform where one was asked for."""
        return f"{self.requested[0]} ({self.platform})" if self.platform else self.requested[0]


@dataclass(frozen=True, slots=True)
class Report:
    """The truth about a run: one outcome for each image, in list order."""

    started: datetime
    """With its time zone."""
    seconds: float
    outcomes: tuple[PullOutcome, ...]
    stopped: str = ""
    """Why the run ended before its time; empty when it did not."""

    @property
    def ok(self) -> bool:
        """Whether every image is there."""
        return all(outcome.ok for outcome in self.outcomes)

    @property
    def failed(self) -> tuple[PullOutcome, ...]:
        """The images that failed, without those that were cancelled."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is Status.FAILED)

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many images ended in each status, zeros included."""
        counts = dict.fromkeys(Status, 0)
        for outcome in self.outcomes:
            counts[outcome.status] += 1
        return counts

    @property
    def exit_code(self) -> ExitCode:
        """What the process that made this report exits with, signals aside."""
        return exit_code_of(outcome.failure for outcome in self.outcomes if outcome.failure)


def exit_code_of(failures: Iterable[Failure]) -> ExitCode:
    """Give the exit code that some failures mean together: to be tried again only when every one of them may pass."""
    kinds = {failure.kind: failure.failure_class for failure in failures}
    if not kinds:
        return ExitCode.OK
    if not ENGINE_GONE.isdisjoint(kinds):
        return ExitCode.ENGINE_UNREACHABLE
    return ExitCode.TRY_AGAIN if _MAY_PASS.issuperset(kinds.values()) else ExitCode.FAILED
