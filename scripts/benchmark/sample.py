"""What is measured: one run of one contender, and what many of them say together."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from scripts.benchmark.contender import OTHER

if TYPE_CHECKING:
    from scripts.benchmark.contender import Contender

Figure = Literal["times", "seconds", "twice", "disk", "left_mib"]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run took; None is what nobody measured."""

    seconds: float
    cpu: float
    """Seconds of user and system time of the process and those it waited for; the engine's are not among them."""
    peak_mib: float
    """The most memory that any single one of those processes had."""
    twice: float | None = None
    """Percent of the bytes that were fetched more than once."""
    engine_cpu: float | None = None
    """Likewise seconds: of dockerd, containerd and the processes that they start."""
    kernel_cpu: float | None = None
    """Of the kernel's own threads and of interrupts, whoever caused them."""
    engine_mib: float | None = None
    """The sum of the peaks of dockerd and containerd."""
    disk_mib: float | None = None
    """The most that the engine's files and the client's cache occupied together, beyond what they did before."""
    left_mib: float | None = None
    """What is left in puller's store."""

    @property
    def energy(self) -> float:
        """The processor seconds of the whole run, which is its time multiplied by the mean number of busy cores."""
        return self.cpu + (self.engine_cpu or 0) + (self.kernel_cpu or 0)


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

    def of(self, name: str) -> float | None:
        """Return the median of a field of the samples, or the largest of a peak; None where nobody measured it."""
        values = [value for sample in self.samples if (value := getattr(sample, name)) is not None]
        middle = max if name.endswith("_mib") else statistics.median
        return middle(values) if values else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A figure that shall be reached: a contender's, alone or compared with another's."""

    limit: float
    figure: Figure = "times"
    """Times as fast, seconds, percent fetched twice, times the peak disk, or MiB left in the store."""
    contender: str = "puller"
    than: str = ""
    """Whom it is compared with; by default the first of the table."""

    @property
    def words(self) -> str:
        """What is wanted, in words."""
        whom, limit = f" as {self.than}" if self.than else "", f"{self.limit:g}"
        return {
            "times": f"at least {limit} times as fast{whom}",
            "seconds": f"at most {limit} s",
            "twice": f"at most {limit} % fetched twice",
            "disk": f"at most {limit} times the peak disk",
            "left_mib": f"at most {limit} MiB left in the store",
        }[self.figure]

    def met_by(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value >= self.limit if self.figure == "times" else value <= self.limit


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one scenario."""

    name: str
    title: str
    images: int
    load: float
    """The machine's load (over a minute) when it began: how busy others kept it."""
    standings: tuple[Standing, ...]
    engine: str = ""
    minutes: float = 0.0
    """How long it took, its preparation included."""
    wanted: tuple[Wanted, ...] = ()

    def times_as_fast(self, standing: Standing) -> float:
        """How many seconds the first contender takes for each of this one's: a ratio of medians."""
        return self.standings[0].median / standing.median

    def pairs(self) -> tuple[tuple[str, float], ...]:
        """Compare each puller with the other one at the same settings: its share of that one's time (medians)."""
        medians = {standing.contender.name: standing.median for standing in self.standings}
        return tuple(
            (name, median / medians[name + OTHER]) for name, median in medians.items() if name + OTHER in medians
        )

    def reached(self, wanted: Wanted) -> float | None:
        """Give the value of a wanted figure; None where its contender, or whom it is compared with, did not run."""
        by_name = {standing.contender.name: standing for standing in self.standings}
        mine, first = by_name.get(wanted.contender), self.standings[0]
        theirs = by_name.get(wanted.than) if wanted.than else first if first.contender.peer else None
        if mine is None or (theirs is None and wanted.figure in ("times", "disk")):
            return None
        if theirs is not None and wanted.figure == "times":
            return theirs.median / mine.median
        if theirs is not None and wanted.figure == "disk":
            peaks = mine.of("disk_mib"), theirs.of("disk_mib")
            return peaks[0] / peaks[1] if peaks[0] is not None and peaks[1] else None
        return mine.median if wanted.figure == "seconds" else mine.of(wanted.figure)
