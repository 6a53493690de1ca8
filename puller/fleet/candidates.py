"""What a file says of a host, before it is checked."""

from typing import NamedTuple, TypeAlias

from puller.text import clean

MOST_HOSTS = 10_000
LONGEST_LINE = 4096
"""Characters of a line that names a host."""
_LONGEST_PROBLEM = 400


class Problem(NamedTuple):
    """A line that is no host, with the reason and what to do."""

    where: str
    """`FILE:LINE`, or an option."""
    reason: str

    def __str__(self) -> str:
        return clean(f"{self.where}: {self.reason}", _LONGEST_PROBLEM)


class Candidate(NamedTuple):
    """A host as a file has it."""

    where: str
    url: str
    """As typed."""
    name: str | None = None
    jobs: str | int | None = None
    groups: tuple[str, ...] = ()


Item: TypeAlias = Candidate | Problem
