"""What is measured: one run of one contender, and what many of them say together."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.benchmark.contender import OTHER

if TYPE_CHECKING:
    from scripts.benchmark.contender import Contender


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run took."""

    seconds: float
    cpu: float
    """Seconds of user and system time of the process and those it waited for; the engine's are not among them."""
    peak_mib: float
    """The most memory that any single one of those processes had."""
    twice: float | None = None
    """Percent of the bytes that were fetched more than once; None where nobody counted."""


@dataclass(slots=True)
class Standing:
    """One contender's runs of a scenario."""

    contender: Contender
    samples: list[Sample] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """The wall-clock time of each run."""
        return [sample.seconds for sample in self.samples]

    @property
    def median(self) -> float:
        """The median of those."""
        return statistics.median(self.seconds)

    @property
    def cpu(self) -> float:
        """The median of the processor time."""
        return statistics.median(sample.cpu for sample in self.samples)

    @property
    def peak_mib(self) -> float:
        """The most memory that any run had."""
        return max(sample.peak_mib for sample in self.samples)

    @property
    def twice(self) -> float | None:
        """The median share of the bytes that were fetched more than once."""
        counted = [sample.twice for sample in self.samples if sample.twice is not None]
        return statistics.median(counted) if counted else None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one scenario."""

    name: str
    title: str
    images: int
    load: float
    """The machine's load (over a minute) when it began: how busy others kept it."""
    standings: tuple[Standing, ...]

    def times_as_fast(self, standing: Standing) -> float:
        """How many seconds the first contender takes for each of this one's: a ratio of medians."""
        return self.standings[0].median / standing.median

    def pairs(self) -> tuple[tuple[str, float], ...]:
        """Compare each puller with the other one at the same settings: its share of that one's time (medians)."""
        medians = {standing.contender.name: standing.median for standing in self.standings}
        return tuple(
            (name, median / medians[name + OTHER]) for name, median in medians.items() if name + OTHER in medians
        )
