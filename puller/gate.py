"""The look at the disk, once in a run and as late as can be: when an image turns out to need a pull."""

from threading import Lock
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from puller.cancellation import Cancellation
    from puller.classify import Failure
    from puller.model import PullRequest


class Room(Protocol):
    """Where the engine keeps its images. Never raises: a check that breaks must not cost a pull."""

    def wide(self, images: int) -> bool:
        """Say whether so many images fit in all likelihood; this costs next to nothing."""

    def short(self, requests: "Sequence[PullRequest]") -> "Failure | None":
        """Say why these images do not fit; None where they do, or nobody knows."""


class _Unlimited:
    def wide(self, images: int) -> bool:  # noqa: ARG002
        return True

    def short(self, requests: "Sequence[PullRequest]") -> "Failure | None":  # noqa: ARG002
        return None


UNLIMITED: Room = _Unlimited()
"""For who does not want to know."""


class Gate:
    """Ends the run before its first pull where what it has to pull does not fit."""

    def __init__(self, room: Room, cancel: "Cancellation") -> None:
        self._room = room
        self._cancel = cancel
        self._lock = Lock()
        self._looked = False
        self._why: Failure | None = None

    def refusal(self, total: int, absent: "Callable[[], Sequence[PullRequest]]") -> "Failure | None":
        """Say why no image is pulled; None when they may be. `absent` waits until all that must be pulled is known."""
        with self._lock:
            if not self._looked:
                self._looked = True
                self._why = None if self._room.wide(total) else self._room.short(absent())
                if self._why:
                    self._cancel.cancel(self._why.message)
            return self._why
