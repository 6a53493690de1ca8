"""What a backend is: one way to make an engine pull one image, told to stop, and asked what came of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from puller.cancellation import Cancellation
    from puller.config import Clocks
    from puller.events import Progress
    from puller.model import Pulled, PullRequest

ProgressSink = Callable[["Progress"], None]


class Backend(Protocol):
    """A way to an engine that has answered. Its methods are called from many threads at once."""

    @property
    def engine(self) -> str:
        """Which engine this is and how it is reached, in words for a person."""

    def pull(
        self,
        request: "PullRequest",
        *,
        cancel: "Cancellation",
        clocks: "Clocks",
        progress: ProgressSink,
    ) -> "Pulled":
        """Pull one image, no slower than `clocks` allow; when it returns or raises, the engine has stopped.

        Raises EngineError with the engine's words, CancelledError when the run was told to stop.
        """

    def close(self) -> None:
        """Let go of connections."""
