"""The frozen values of a run: requests, attempts, outcomes and the report."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from puller.errors import ExitCode, FailureKind
from puller.failure import Failure
from puller.image.reference import ImageReference, Platform
from puller.model.hosts import Fleet, HostState

ENGINE_GONE = {
    FailureKind.CLIENT_MISSING,
    FailureKind.CONTAINERD_UNREACHABLE,
    FailureKind.DAEMON_UNREACHABLE,
    FailureKind.HOST_KEY,
    FailureKind.HOST_UNREACHABLE,
    FailureKind.LOGIN_DENIED,
    FailureKind.SOCKET_PERMISSION,
}
"""Kinds of failure that mean that no engine could be reached."""

BY_BROKER = " by a broker"
"""The end of `RunDetails.engine` of a run that workers of the hosts do."""
_UNKNOWN_IMAGE = {
    FailureKind.ACCESS_DENIED,
    FailureKind.LOCAL_IMAGE_MISSING,
    FailureKind.NOT_FOUND,
    FailureKind.NOT_PRESENT,
    FailureKind.UNAUTHORIZED,
}
"""Kinds of failure of an image that is in no registry, among others."""
_BUILD = "The service has build: too: build it (docker compose build), or leave it out with --ignore-buildable."


class Status(StrEnum):
    """The result of an image."""

    PULLED = "pulled"
    """The engine fetched something."""
    UP_TO_DATE = "up_to_date"
    """The engine already had exactly this image."""
    PRESENT = "present"
    """The engine has the name; the registry was not asked whether it is current."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Not tried, or stopped, because the run was cancelled."""
    PENDING = "pending"
    """Not known yet: the run has not ended. Only in the status of a run by a broker (`puller status`)."""


SUCCESSES = (Status.PULLED, Status.UP_TO_DATE, Status.PRESENT)
"""The results with which an image is on the host."""


class PullRequest(NamedTuple):
    """One image to pull, unique in its run by reference and platform."""

    reference: ImageReference
    platform: Platform | None = None
    """None means the engine's own platform."""
    requested: tuple[str, ...] = ()
    """Every spelling in the lists, in order."""
    buildable: bool = False
    """Whether a list says how to build the image."""
    if_missing: bool = False
    """Whether the lists want it pulled only if the engine does not have it (Compose's `pull_policy: missing`)."""

    def advised(self, failure: Failure) -> Failure:
        """Return the failure with advice for this image: its registry's name, or to build it if a list says how."""
        is_built = self.buildable and failure.kind in _UNKNOWN_IMAGE
        return failure._replace(advice=_BUILD) if is_built else failure.at(self.reference.registry)

    def __str__(self) -> str:
        return f"{self.reference.text} ({self.platform})" if self.platform else self.reference.text


class EngineResult(NamedTuple):
    """The result of a successful pull."""

    digest: str | None  # the digest that the reference resolves to; None if the engine does not report it
    up_to_date: bool
    warning: str = ""  # what the user must know although the pull succeeded
    by_tag: bool = False  # whether the engine has the image under its tag, and maybe not under its digest


class Span(NamedTuple):
    """One phase of an attempt."""

    phase: str  # a value of `puller.events.Phase`, or another one in a report by another version
    started: float  # seconds since the attempt began
    seconds: float


class Attempt(NamedTuple):
    """One attempt to pull an image."""

    started: float  # seconds since puller started on the image
    seconds: float
    failure: Failure | None
    phases: tuple[Span, ...] = ()  # the phases in order
    bytes: int = 0  # compressed bytes fetched, without layers that another image counts
    mirror: str | None = None  # the mirror that was tried; None for the registry itself


class PullOutcome(NamedTuple):
    """The outcome of one image. For an invalid line of a list, `reference` is the line, made safe to print."""

    reference: str
    requested: tuple[str, ...]
    status: Status
    platform: Platform | None = None
    digest: str | None = None
    attempts: tuple[Attempt, ...] = ()
    """The attempts of the engine; none for an image that needed no pull."""
    seconds: float = 0.0
    """Seconds from `began` to the end, including waits for the engine and between attempts; people see `took`."""
    failure: Failure | None = None
    """Why it failed or was cancelled; None if and only if it did neither."""
    began: float = 0.0
    """Seconds from the start of the run to that of the image, in which the image was queued."""
    mirror: str | None = None
    """The mirror that served the image or its digest; None for its own registry."""
    confirmed: bool = True
    """False if the digest is known from a mirror only, because the registry did not answer."""
    host: str | None = None
    """The host of the engine; None for the only engine of a run."""
    warning: str = ""
    """What the user must know although the image is present."""
    size: int | None = None
    """Compressed bytes of all layers of the image, as its manifest says; None if nobody asked for it."""
    kept: bool = False
    """Whether it failed or was cancelled and the engine has an image of this name, from before the run."""

    @classmethod
    def of(
        cls,
        request: PullRequest,
        status: Status,
        digest: str | None = None,
        failure: Failure | None = None,
        seconds: float = 0.0,
        began: float = 0.0,
        attempts: tuple[Attempt, ...] = (),
    ) -> "PullOutcome":
        """Build the outcome of a request."""
        reference = request.reference
        requested = request.requested or (reference.text,)
        name, platform = reference.canonical, request.platform
        failure = request.advised(failure) if failure else None
        return cls(name, requested, status, platform, digest, attempts, seconds, failure, began)

    @property
    def bytes(self) -> int:
        """Compressed bytes fetched in all attempts."""
        return sum(attempt.bytes for attempt in self.attempts)

    @property
    def took(self) -> float:
        """Seconds from the first attempt, or from the check at the registry if there was none, to the end.

        They are as exact as in a report that was read back.
        """
        return max(round(self.seconds, 3) - round(self.attempts[0].started if self.attempts else 0.0, 3), 0.0)

    @property
    def ok(self) -> bool:
        """Whether it neither failed nor was cancelled."""
        return self.status in SUCCESSES

    def __str__(self) -> str:
        return f"{self.requested[0]} ({self.platform})" if self.platform else self.requested[0]


class RunDetails(NamedTuple):
    """Where and how a run took place, for those who read its report elsewhere."""

    host: str = ""
    """The name of the machine that puller ran on."""
    engine: str = ""
    """The engine, or the files that the images were written to."""
    lists: tuple[str, ...] = ()
    """The lists and images of the command line."""
    command: str = ""
    """The command line, without secrets."""
    version: str = ""
    """The version of puller."""
    exit_code: int | None = None
    directory: str = ""
    """The working directory, to which paths in `lists` are relative."""
    target: tuple[str, ...] = ()
    """The options of the command line that name the engine or mirrors, such as `--context=build`."""
    hosts: int = 0
    """How many hosts the run was over; 0 for one engine without `--host`."""

    @property
    def by_broker(self) -> bool:
        """Whether workers of the hosts pulled the images (`puller submit`)."""
        return self.engine.endswith(BY_BROKER)

    @property
    def into_files(self) -> bool:
        """Whether the images were written to files (`--to`)."""
        return self.engine.startswith(("oci:", "archive:"))


class Report(NamedTuple):
    """The report of a run: one outcome for each image, in list order."""

    started: datetime
    """The start of the run, with time zone."""
    seconds: float
    outcomes: tuple[PullOutcome, ...]
    stopped: str = ""
    """Why the run ended early; else empty."""
    details: RunDetails = RunDetails()
    fleet: Fleet | None = None
    """The hosts of a run over several; outcomes are then in the order of the hosts, those of each in list order."""
    other_bytes: int = 0
    """Compressed bytes that puller fetched, and that no attempt counts: of images whose pull had not begun or was left
    to the engine, and of wrong content."""
    kept: int = 0
    """Bytes on the disk that puller keeps for the next run of these images; no document has it, as they go then."""

    @property
    def ended(self) -> datetime:
        """The end of the run, as exact as a report that was read back: the start to the second."""
        return self.started.replace(microsecond=0) + timedelta(seconds=round(self.seconds, 3))

    @property
    def bytes(self) -> int:
        """Compressed bytes fetched in all attempts of all images, and `other_bytes`."""
        return sum(outcome.bytes for outcome in self.outcomes) + self.other_bytes

    @property
    def ok(self) -> bool:
        """Whether no image failed or was cancelled."""
        return all(outcome.ok for outcome in self.outcomes)

    @property
    def failed(self) -> tuple[PullOutcome, ...]:
        """The failed images, without cancelled ones."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is Status.FAILED)

    @property
    def counts(self) -> Mapping[Status, int]:
        """The number of images by status, zeros included, except for pending ones."""
        counts = Counter(outcome.status for outcome in self.outcomes)
        return {status: counts[status] for status in Status if counts[status] or status is not Status.PENDING}

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the process, unless a signal ended it."""
        if self.fleet:
            return _exit_code_of_hosts(self.fleet, self.outcomes)
        return exit_code_of(outcome.failure for outcome in self.outcomes if outcome.failure)


def exit_code_of(failures: Iterable[Failure]) -> ExitCode:
    """Return the exit code for failures; TRY_AGAIN only if all of them are transient."""
    retryable = {failure.kind: failure.retryable for failure in failures}
    if not retryable:
        return ExitCode.OK
    if not ENGINE_GONE.isdisjoint(retryable):
        return ExitCode.ENGINE_UNREACHABLE
    return ExitCode.TRY_AGAIN if all(retryable.values()) else ExitCode.FAILED


def _exit_code_of_hosts(fleet: Fleet, outcomes: Sequence[PullOutcome]) -> ExitCode:
    """Return the exit code of a run over several hosts; that one engine is gone does not end it."""
    unreachable = {host.name for host in fleet.in_state(HostState.UNREACHABLE, HostState.DEFERRED)}
    excused = set[str | None]() if fleet.strict else {*unreachable}
    if fleet.halted:
        return ExitCode.HALTED
    failed = {each.failure.kind: each.failure for each in outcomes if each.failure and each.host not in excused}
    code = exit_code_of(failed.values())
    if code is ExitCode.OK and any(each.status is Status.PENDING and each.host not in excused for each in outcomes):
        return ExitCode.TRY_AGAIN
    if code is ExitCode.OK:
        return ExitCode.HOSTS_UNREACHABLE if unreachable else ExitCode.OK
    return ExitCode.FAILED if code is ExitCode.ENGINE_UNREACHABLE else code
