"""The result of `puller plan`: what a pull would do and cost."""

from enum import StrEnum
from typing import NamedTuple

from puller.errors import ExitCode
from puller.failure import Failure
from puller.model import PullOutcome, PullRequest, exit_code_of
from puller.plan.layers import Estimate
from puller.registry.responses import QuotaSource


class Change(StrEnum):
    """What a pull would do to one image."""

    UP_TO_DATE = "up_to_date"
    WOULD_PULL = "would_pull"
    UNKNOWN = "unknown"  # the registry did not answer, or its answer means that a pull would fail


class ImageEstimate(NamedTuple):
    """One image of the list."""

    request: PullRequest
    change: Change
    digest: str | None = None
    estimate: Estimate | None = None
    """None if nothing would be pulled, or if the sizes are unknown; `note` has the reason."""
    note: str = ""
    failure: Failure | None = None


class QuotaUse(NamedTuple):
    """A registry's pull quota, and how much of it a pull would use."""

    registry: str
    limit: int | None
    remaining: int | None  # remaining pulls before this plan fetched any manifest
    window_seconds: int | None
    pulls: int  # images that would be pulled; each counts once
    looked: int = 0  # manifests that the plan itself fetched for their sizes; a registry may count these too
    source: QuotaSource | None = None  # whose quota it is; None if the registry does not tell

    @property
    def enough(self) -> bool:
        return self.remaining is None or self.pulls + self.looked <= self.remaining


class Disk(NamedTuple):
    """Disk space in bytes at the engine's data root."""

    needed: int  # as in the check before a pull: with less, an image fails in whatever order they are pulled
    path: str | None = None
    free: int | None = None  # None if it is unknown; `note` has the reason
    note: str = ""

    @property
    def enough(self) -> bool | None:
        """Whether the pull fits; None if that is unknown."""
        return None if self.free is None else self.needed <= self.free


class PullPlan(NamedTuple):
    """The plan of a whole pull."""

    engine: str
    images: tuple[ImageEstimate, ...]
    quotas: tuple[QuotaUse, ...]
    disk: Disk
    rejected: tuple[PullOutcome, ...] = ()  # invalid lines that were skipped

    @property
    def would_pull(self) -> tuple[ImageEstimate, ...]:
        return tuple(image for image in self.images if image.change is Change.WOULD_PULL)

    @property
    def unknown(self) -> tuple[ImageEstimate, ...]:
        return tuple(image for image in self.images if image.change is Change.UNKNOWN)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        return tuple(image.estimate for image in self.images if image.estimate)

    @property
    def complete(self) -> bool:
        """Whether the sums include every image that would be pulled."""
        return not self.unknown and len(self.estimates) == len(self.would_pull)

    @property
    def download(self) -> int:
        return sum(estimate.download for estimate in self.estimates)

    @property
    def exit_code(self) -> ExitCode:
        """1 for an invalid line, a too small disk or an unknown image; 75 if all that failed are transient errors."""
        if self.rejected or (self.would_pull and self.disk.enough is False):
            return ExitCode.FAILED
        return exit_code_of(image.failure for image in self.unknown if image.failure)
