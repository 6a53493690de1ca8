"""The frozen values of a run over several hosts: what became of each, and what stopped the run."""

from enum import StrEnum
from typing import NamedTuple

from puller.failure import Failure


class HostState(StrEnum):
    """What became of one host of several."""

    DONE = "done"
    """Every image is present."""
    FAILED = "failed"
    """At least one image failed."""
    CANCELLED = "cancelled"
    """Its pulls were stopped, because the run was."""
    UNREACHABLE = "unreachable"
    """Its engine did not answer, or does not answer any more."""
    NOT_STARTED = "not_started"
    """The run was halted or cancelled before this host began."""
    RUNNING = "running"
    """It has begun, and not ended; like the next one only in the status of a run by a broker."""
    DEFERRED = "deferred"
    """Nobody on it takes its pulls at the moment: they wait for it until the run expires."""


class HostResult(NamedTuple):
    """One host of a run over several; its images are outcomes of the report."""

    name: str
    """Unique in the run; outcomes and events have it as `host`."""
    url: str
    """The address of its engine, such as `ssh://build@web-3`."""
    state: HostState
    engine: str = ""
    """The version of its engine, and how it is reached; empty if it was not reached."""
    wave: int | None = None
    """The wave that it began in, from 1, and 0 for a canary; None if it did not begin."""
    began: float = 0.0
    """Seconds from the start of the run."""
    seconds: float = 0.0
    failure: Failure | None = None
    """Why it could not be reached or did not start, or what ended all its pulls."""
    jobs: int | None = None
    """Its own number of concurrent pulls; None for that of the run."""


class Fleet(NamedTuple):
    """The hosts of a run over several, and what stopped it."""

    hosts: tuple[HostResult, ...]
    halted: str = ""
    """Why no further host began: a canary or too many hosts failed; else empty."""
    strict: bool = False
    """Whether an unreachable host counts as failed."""

    def in_state(self, *states: HostState) -> tuple[HostResult, ...]:
        return tuple(host for host in self.hosts if host.state in states)
