"""What a session tells about itself while it runs. Observers draw or log events; nothing reads them back."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from puller.failure import Failure
from puller.model import PullOutcome, PullRequest

_log = logging.getLogger(__name__)


class Phase(StrEnum):
    """What an engine is doing for an image."""

    RESOLVING = "resolving"
    WAITING = "waiting"
    """All layers of the image queue for one of the engine's download slots."""
    DOWNLOADING = "downloading"
    EXTRACTING = "extracting"


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfHost:
    host: str | None = None
    """The host whose engine it is; None for the only engine of a run."""


@dataclass(frozen=True, slots=True)
class RunStarted(_OfHost):
    """The run begins with this many images on this engine."""

    total: int
    engine: str


@dataclass(frozen=True, slots=True)
class Started(_OfHost):
    """An attempt begins; the first is 1."""

    request: PullRequest
    attempt: int


@dataclass(frozen=True, slots=True)
class Progress(_OfHost):
    """How far the attempt has come. Bytes are compressed bytes of layers the engine is fetching."""

    request: PullRequest
    phase: Phase
    current: int = 0
    """Bytes fetched."""
    total: int = 0
    """Bytes known so far; grows while the engine opens layers, and stays 0 with podman and nerdctl, which tell none."""
    layers_done: int = 0
    layers: int = 0
    of_layers: Mapping[str, int] = field(default_factory=dict)
    """Bytes fetched of each layer, by its short ID: images that share one, and wait for it together, all tell of it."""


@dataclass(frozen=True, slots=True)
class RetryScheduled(_OfHost):
    """The attempt failed, and there will be another after `delay` seconds."""

    request: PullRequest
    attempt: int
    failure: Failure
    delay: float


ENGINE = "engine"
"""What a pause is about when it is not about a registry."""


@dataclass(frozen=True, slots=True)
class Paused(_OfHost):
    """Nothing is asked of a registry, or the engine is waited for, for at most so many seconds."""

    subject: str
    """A registry, or `ENGINE`."""
    failure: Failure
    seconds: float


@dataclass(frozen=True, slots=True)
class Postponed(_OfHost):
    """The image failed for a reason that may pass: it gets one more try when all else is done."""

    request: PullRequest
    failure: Failure


@dataclass(frozen=True, slots=True)
class Finished(_OfHost):
    """The image has ended, one way or another."""

    request: PullRequest
    outcome: PullOutcome


Event = RunStarted | Started | Progress | RetryScheduled | Paused | Postponed | Finished
Observer = Callable[[Event], None]
"""Called from many threads at once, in the order of events of each image."""


def at_host(event: Event, host: str) -> Event:
    """Say of an event, and of the outcome in it, at which host it happened."""
    if isinstance(event, Finished):
        return replace(event, host=host, outcome=replace(event.outcome, host=host))
    return replace(event, host=host)


def ignore(_event: Event) -> None:
    """Observe nothing."""


def fan_out(*observers: Observer) -> Observer:
    """Join observers into one that never raises: a broken display must not cost an image."""

    def emit(event: Event) -> None:
        for observer in observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - an observer is foreign code
                _log.debug("an observer failed", exc_info=True)

    return emit
