"""Events of a running session, for observers that draw or log them."""

import logging
from collections.abc import Callable, Mapping, Set as AbstractSet
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from puller.failure import Failure
from puller.model import PullOutcome, PullRequest

_log = logging.getLogger(__name__)


class Phase(StrEnum):
    """What an engine is doing for an image."""

    RESOLVING = "resolving"
    QUEUED = "queued"  # the engine says nothing about the image, while other pulls use its download slots
    WAITING = "waiting"  # all layers of the image wait for the engine's download slots, as the engine says
    DOWNLOADING = "downloading"
    EXTRACTING = "extracting"


class RunStarted(NamedTuple):
    """The run starts, with `total` images on this engine."""

    total: int
    engine: str
    host: str | None = None
    """The host of the engine, in every event; None for the only engine of a run."""


class Started(NamedTuple):
    """An attempt starts; the first has number 1."""

    request: PullRequest
    attempt: int
    mirror: str | None = None  # the mirror that is tried; None for the registry itself
    host: str | None = None


class Progress(NamedTuple):
    """The progress of an attempt, in compressed bytes of the layers that the engine fetches."""

    request: PullRequest
    phase: Phase
    current: int = 0  # bytes fetched
    total: int = 0
    """Bytes known so far: grows as the engine starts layers, and stays 0 with podman and nerdctl."""
    layers_done: int = 0
    layers: int = 0
    of_layers: Mapping[str, int] = MappingProxyType({})
    """Bytes fetched by layer (short ID). Concurrent pulls of images that share a layer all report it."""
    whole: AbstractSet[str] = frozenset()
    """Layers that were fetched completely, also those whose bytes the engine never reported."""
    present: AbstractSet[str] = frozenset()
    """Layers that the engine had before."""
    counted: int = 0
    """Bytes fetched in all attempts, without those of shared layers that another pull counts; set by the session."""
    host: str | None = None


class RetryScheduled(NamedTuple):
    """The attempt failed, and another follows after `delay` seconds."""

    request: PullRequest
    attempt: int
    failure: Failure
    delay: float
    host: str | None = None


HOST_PAUSES = ENGINE, NETWORK = "engine", "network"  # the subjects of pauses that do not concern a registry


class Paused(NamedTuple):
    """Pulls wait for a registry's rate limit, or for the engine or the network, at most `seconds`."""

    subject: str  # the registry, `ENGINE` or `NETWORK`
    failure: Failure
    seconds: float
    host: str | None = None


class Postponed(NamedTuple):
    """The image had a transient failure, and is tried again after all other images."""

    request: PullRequest
    failure: Failure
    host: str | None = None


class SizeKnown(NamedTuple):
    """How much there is to download is known, or known better than before."""

    total: int
    """Compressed bytes of all layers that the engine lacks, each counted once, whatever was fetched already."""
    unknown: int = 0
    """Images whose sizes are not known (yet): the total may grow."""
    host: str | None = None


class Fetched(NamedTuple):
    """The run has fetched more, while puller downloads layers itself."""

    current: int
    """Compressed bytes from registries, to puller and to the engine, also for images that have not started."""
    host: str | None = None


class Finished(NamedTuple):
    """The image has its final outcome."""

    request: PullRequest
    outcome: PullOutcome
    host: str | None = None


Event = RunStarted | Started | Progress | RetryScheduled | Paused | Postponed | SizeKnown | Fetched | Finished
Observer = Callable[[Event], None]
"""Called from many threads; the events of one image are in order."""


def at_host(event: Event, host: str) -> Event:
    """Set the host of an event, and of the outcome in it."""
    if isinstance(event, Finished):
        return event._replace(host=host, outcome=event.outcome._replace(host=host))
    return event._replace(host=host)


def ignore(_event: Event) -> None:
    """Observe nothing."""


def fan_out(*observers: Observer) -> Observer:
    """Combine observers into one that never raises, so that a broken display cannot fail an image."""

    def emit(event: Event) -> None:
        for observer in observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - an observer may be the caller's code
                _log.debug("an observer failed", exc_info=True)

    return emit
