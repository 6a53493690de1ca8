"""What a backend is: one way to make an engine pull one image, told to stop, and asked what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from puller.cancellation import Cancellation
from puller.engine.model import Container, EngineInfo, ImageContents, LocalImages
from puller.events import Progress
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts

ProgressSink = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class InspectedImage:
    """What an engine has under a name: the image's ID, and every digest by which it knows it in that repository.

    There may be several: of the index and of the platform's manifest, or of what a tag stood for at other times.
    """

    identity: str | None
    digests: tuple[str, ...] = ()
    platform: Platform | None = None
    """What it is for; where it holds several, the one that the engine would run."""


NOTHING = InspectedImage(None)
"""The engine has no such image."""


class ImageStore(Protocol):
    """The images of an engine, asked about and renamed without pulling. Raises EngineError in the engine's words."""

    def holdings(self) -> LocalImages:
        """List all images, with one question."""

    def facts(self) -> EngineInfo:
        """Say what kind of engine this is, with one question, however often it is asked."""

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        """Say for which platform images are, by their IDs; what the engine does not say is left out.

        Of an image that holds several the engine names one: the `asked` one if it has that and heeds the question.
        """

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        """Say what images, named by their IDs, are made of; those that the engine cannot describe are left out."""

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        """Say how many bytes each step of an image's build added, base first; empty where the engine does not tell."""

    def containers(self) -> tuple[Container, ...]:
        """List all containers, those that were only created among them."""

    def tag(self, source: str, target: ImageReference) -> None:
        """Let the target's name and tag stand for the image that `source` (a name, or an ID) stands for."""

    def untag(self, name: str) -> None:
        """Remove a name (`NAME:TAG` or `NAME@DIGEST`), or by its ID an image without tags; never by force.

        The image goes with its last tag. With the last one of a repository go its digests in that repository.
        """


class Engine(Protocol):
    """A way to an engine that has answered. Its methods are called from many threads at once."""

    @property
    def engine(self) -> str:
        """Which engine this is and how it is reached, in words for a person."""

    @property
    def store(self) -> ImageStore:
        """What the engine holds."""

    def pull(
        self,
        request: PullRequest,
        *,
        cancel: Cancellation,
        clocks: Timeouts,
        progress: ProgressSink,
    ) -> EngineResult:
        """Pull one image, no slower than `clocks` allow; when it returns or raises, the engine has stopped.

        Raises EngineError with the engine's words, CancelledError when the run was told to stop.
        """

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Say what the engine has under a name, or under its digest where it has one; None when it will not say.

        Raises CancelledError only.
        """

    def alive(self) -> bool:
        """Say whether the engine answers at this moment; takes seconds at most, and never raises."""

    def close(self) -> None:
        """Let go of connections."""
