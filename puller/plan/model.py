"""What a pull would do and cost, as frozen values: the answer of `puller plan`."""

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
    """The registry could not be asked, or its answer is that a pull would fail."""


@dataclass(frozen=True, slots=True)
class ImageEstimate:
    """One image of the list."""

    request: PullRequest
    change: Change
    digest: str | None = None
    """What the reference stands for in the registry."""
    estimate: Estimate | None = None
    """None where nothing would be pulled, and where the registry did not tell sizes: then `note` says why."""
    note: str = ""
    failure: Failure | None = None
    """Why it is unknown."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """A registry's quota, and what a pull would take of it."""

    registry: str
    limit: int | None
    remaining: int | None
    """When the registry was asked, before this plan looked at any manifest."""
    window_seconds: int | None
    pulls: int
    """Images that would be pulled there: each counts as one."""
    looked: int = 0
    """Images whose manifests the plan itself fetched, for their sizes: a registry may count these, too."""

    @property
    def enough(self) -> bool:
        """Whether all of the pulls are allowed now."""
        return self.remaining is None or self.pulls + self.looked <= self.remaining


@dataclass(frozen=True, slots=True)
class Disk:
    """The room at the engine's data root."""

    needed: int
    path: str | None = None
    free: int | None = None
    """None where it cannot be seen from here; `note` says why."""
    note: str = ""

    @property
    def enough(self) -> bool | None:
        """Whether there is room; None where that is not known."""
        return None if self.free is None else self.needed <= self.free


@dataclass(frozen=True, slots=True)
class PullPlan:
    """The whole plan, images in list order."""

    engine: str
    prospects: tuple[ImageEstimate, ...]
    quotas: tuple[QuotaUse, ...]
    disk: Disk
    rejected: tuple[PullOutcome, ...] = ()
    """Bad lines that were skipped."""

    @property
    def would_pull(self) -> tuple[ImageEstimate, ...]:
        """The images that a pull would fetch."""
        return tuple(prospect for prospect in self.prospects if prospect.change is Change.WOULD_PULL)

    @property
    def unknown(self) -> tuple[ImageEstimate, ...]:
        """The images of which nothing can be said."""
        return tuple(prospect for prospect in self.prospects if prospect.change is Change.UNKNOWN)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """What is known of the cost."""
        return tuple(prospect.estimate for prospect in self.prospects if prospect.estimate)

    @property
    def complete(self) -> bool:
        """Whether the sums are about every image that would be pulled."""
        return not self.unknown and len(self.estimates) == len(self.would_pull)

    @property
    def download(self) -> int:
        """Bytes that registries would send."""
        return sum(estimate.download for estimate in self.estimates)

    @property
    def ok(self) -> bool:
        """Whether something could be said of every image and line."""
        return not self.unknown and not self.rejected
