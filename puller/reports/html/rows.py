"""What the page is made of: a row for each image, causes of what failed, and lanes of rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from puller.model import PullOutcome, Status
from puller.reports.html.bars import Bar, timed

if TYPE_CHECKING:
    from puller.classify import Failure
    from puller.model import Attempt


@dataclass(frozen=True)
class Row:
    """One image."""

    number: int
    """Its place in the list, from 1."""
    outcome: PullOutcome
    registry: str
    """Empty for a line that is no reference."""
    bar: Bar

    @property
    def name(self) -> str:
        """What was typed, without the registry that its lane names."""
        return str(self.outcome).removeprefix(f"{self.registry}/") if self.registry else str(self.outcome)

    @property
    def result(self) -> str:
        """How it ended, in two or three words."""
        why = self.outcome.failure if self.outcome.status is Status.FAILED else None
        return (why.kind if why else self.outcome.status).replace("_", " ")

    @property
    def attempts(self) -> "tuple[Attempt, ...]":
        """Its attempts, where the report tells more of them than their number."""
        return timed(self.outcome)

    @property
    def start(self) -> float:
        """When the first attempt began, or else the turn came: seconds since the run began."""
        attempts = self.attempts
        return self.outcome.began + (attempts[0].started if attempts else 0.0)

    @property
    def took(self) -> float:
        """Seconds from then to the end: what it took without what it was queued."""
        return self.outcome.began + self.outcome.seconds - self.start


@dataclass(frozen=True)
class Cause:
    """What several images failed of."""

    failure: "Failure"
    said: "dict[str, list[Row]]"
    """The engine's words, and of which images it said them."""

    @property
    def count(self) -> int:
        """How many images."""
        return sum(len(rows) for rows in self.said.values())


@dataclass(frozen=True)
class Lane:
    """The images of one registry."""

    registry: str
    rows: "list[Row]"

    @property
    def bytes(self) -> int:
        """Fetched."""
        return sum(row.outcome.bytes for row in self.rows)

    @property
    def failed(self) -> int:
        """How many images failed."""
        return sum(row.outcome.status is Status.FAILED for row in self.rows)
