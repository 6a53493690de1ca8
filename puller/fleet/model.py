"""The values of a run over hosts: how it goes over them, and what it tells about them while it lasts."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from puller.engine.interface import Engine
from puller.fleet.hosts import FleetHost
from puller.fleet.waves import WaveSize
from puller.model import PullOutcome
from puller.model.hosts import HostResult
from puller.settings import FailureLimit

OpenHost = Callable[..., AbstractContextManager[Engine]]
"""Connects to a host's engine; see `puller.fleet.connection.open_host`."""


class FleetOptions(NamedTuple):
    """How a run goes over its hosts."""

    parallel_hosts: int = 20
    canaries: int = 0
    waves: tuple[WaveSize, ...] = ()
    max_fail: FailureLimit | None = None
    """Most hosts that may fail before no other begins; None for no limit."""
    strict: bool = False
    registry_limits: tuple[tuple[str, int], ...] = ()
    """Most pulls in flight from a registry, over all hosts."""
    fed: bool = False
    """Whether the hosts pull from this machine."""


class HostStarted(NamedTuple):
    """A host begins; its wave is one of `waves`, and 0 for a canary."""

    host: FleetHost
    wave: int
    waves: int


class HostEnded(NamedTuple):
    """A host has ended, with the outcomes of its images."""

    result: HostResult
    outcomes: tuple[PullOutcome, ...]


class Halted(NamedTuple):
    """No further host begins."""

    reason: str
    hosts: int
    """How many hosts have not begun."""


FleetEvent = HostStarted | HostEnded | Halted
