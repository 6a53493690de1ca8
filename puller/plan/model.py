"""The result of `puller plan`: what a pull would do and cost."""

from dataclasses import dataclass
from enum import StrEnum

from puller.failure import Failure
from puller.model import PullOutcome, PullRequest
from puller.plan.layers import Estimate


class Change(StrEnum):
    """What a pull would do to one image."""

    UP_TO_DATE = "up_to_date"
    WOULD_PULL = "would_pull"
    UNKNOWN = "unknown"
    """The registry did not answer, or its answer means that a pull would fail."""


@dataclass(frozen=True, slots=True)
class ImageEstimate:
    """One image of the list."""

    request: PullRequest
    change: Change
    digest: str | None = None
    """The digest of the reference in the registry."""
    estimate: Estimate | None = None
    """None if nothing would be pulled, or if the sizes are unknown; `note` has the reason."""
    note: str = ""
    failure: Failure | None = None
    """Why the change is unknown."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """A registry's pull quota, and how much of it a pull would use."""

    registry: str
    limit: int | None
    remaining: int | None
    """Remaining pulls before this plan fetched any manifest."""
    window_seconds: int | None
    pulls: int
    """Images that would be pulled; each counts once."""
    looked: int = 0
    """Manifests that the plan itself fetched for their sizes; a registry may count these too."""

    @property
    def enough(self) -> bool:
        return self.remaining is None or self.pulls + self.looked <= self.remaining


@dataclass(frozen=True, slots=True)
class Disk:
    """Disk space in bytes at the engine's data root."""

    needed: int
    path: str | None = None
    free: int | None = None
    """None if it is unknown; `note` has the reason."""
    note: str = ""

    @property
    def enough(self) -> bool | None:
        """Whether the pull fits; None if that is unknown."""
        return None if self.free is None else self.needed <= self.free


@dataclass(frozen=True, slots=True)
class PullPlan:
    """The plan of a whole pull."""

    engine: str
    images: tuple[ImageEstimate, ...]
    """In list order."""
    quotas: tuple[QuotaUse, ...]
    disk: Disk
    rejected: tuple[PullOutcome, ...] = ()
    """Invalid lines that were skipped."""

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
        """Bytes to download."""
        return sum(estimate.download for estimate in self.estimates)

    @property
    def ok(self) -> bool:
        """Whether no image is unknown and no line is invalid."""
        return not self.unknown and not self.rejected
