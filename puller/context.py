"""What all pulls of a run share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from puller.backends.base import Backend
    from puller.cancellation import Cancellation
    from puller.config import Settings
    from puller.engine_wait import EngineWait
    from puller.events import Observer
    from puller.lanes import Lanes
    from puller.mirrors import Mirrors
    from puller.reference import ImageReference


@dataclass(frozen=True, slots=True)
class PullContext:
    """What all pulls of a run share."""

    backend: "Backend"
    settings: "Settings"
    emit: "Observer"
    cancel: "Cancellation"
    lanes: "Lanes"
    engine: "EngineWait"
    mirrors: "Mirrors"
    ask_wait: "Callable[[ImageReference], float | None]"
    """Asks a registry for how many seconds it wants to be left alone; None where it does not say."""
    ends: float | None = None
    """The run's deadline, on the monotonic clock."""
    began: float = 0.0
    """The run's beginning, on the same."""
