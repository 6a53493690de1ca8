"""The contract between puller and a container engine.

An implementation provides two objects: an `Engine`, which pulls, and its `ImageStore`, which answers questions about
the images that the engine has. All methods are called from many threads at once. An implementation reports what the
engine said, in the engine's own words, and decides nothing: classifying errors, retrying and verifying are done above.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from puller.cancellation import Cancellation
from puller.engine.model import Container, EngineInfo, ImageContents, LocalImages
from puller.events import Progress
from puller.image.reference import ImageReference, Platform
from puller.model import EngineResult, PullRequest
from puller.settings import Timeouts

ProgressSink = Callable[[Progress], None]


class InspectedImage(NamedTuple):
    """One image of an engine, as `image inspect` shows it."""

    identity: str | None
    """The image ID; None where there is no such image."""
    digests: tuple[str, ...] = ()
    """Those in the repository that was asked for: of the index, of the platform's manifest, of earlier versions."""
    platform: Platform | None = None
    """The platform of the image; of a multi-platform image the one that the engine would run."""


NOTHING = InspectedImage(None)
"""The engine has no such image."""


class ImageStore(Protocol):
    """The images of one engine: questions and tags, no pulls.

    Every method may take as long as the engine takes to answer, and raises EngineError: with the engine's message and
    HTTP status where it answered with an error, with a `kind` where the connection failed or the response could not be
    read. An image ID is what `LocalImage.identity` holds. A subclass inherits the answers of a store without details.
    """

    def holdings(self) -> LocalImages:
        """List all images in one request. The result is current: nothing is cached."""

    def facts(self) -> EngineInfo:
        """Describe the engine. It is asked once; later calls return the same value."""

    def platforms(self, identities: Sequence[str], asked: Platform | None = None) -> Mapping[str, Platform]:
        """Return the platform of each image, by image ID.

        Images that no longer exist, and images whose platform the engine does not report, are left out. For a
        multi-platform image the engine reports one platform: `asked`, if it has it and supports the question.
        """
        return {}

    def contents(self, identities: Sequence[str]) -> tuple[ImageContents, ...]:
        """Describe images by their IDs; images that no longer exist are left out."""
        return ()

    def layer_sizes(self, identity: str) -> tuple[int, ...]:
        """Return the bytes that each step of an image's build added, base first; empty where that is not known."""
        return ()

    def containers(self) -> tuple[Container, ...]:
        """List all containers in whatever state."""
        return ()

    def tag(self, source: str, target: ImageReference) -> None:
        """Make the name and tag of `target` refer to the image `source`, which is a name or an image ID."""

    def untag(self, name: str) -> None:
        """Remove a tag (`NAME:TAG`), a digest (`NAME@DIGEST`) or, by its ID, an untagged image; never by force.

        The engine deletes an image with its last tag, and its digests in a repository with the last tag there. A large
        image takes minutes to delete; the method returns when the engine has finished.
        """


class Engine(Protocol):
    """A container engine that has answered once. The constructor raises EngineUnreachableError if it does not."""

    @property
    def engine(self) -> str:
        """The engine's version and how it is reached, for people: `engine 28.5.2 through its API (1.51)`."""

    @property
    def store(self) -> ImageStore:
        """The images of this engine."""

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Pull one image, once: no retry, no verification.

        `progress` is called from the pulling thread, at most ten times a second and at every change of phase. When the
        method returns or raises, the engine no longer works on this pull. Raises EngineError when the pull fails (with
        the engine's message) or exceeds one of `clocks` (kind `timeout` or `stalled`), and CancelledError soon after
        `cancel` is set from any thread.
        """

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        """Look up one image by its digest, or else by its tag.

        Returns `NOTHING` when the engine has no such image, and None when the engine gives no usable answer. Raises
        CancelledError only.
        """

    def alive(self) -> bool:
        """Tell whether the engine answers now. Takes at most ten seconds and never raises."""

    def close(self) -> None:
        """Close all connections; pulls in flight fail. May be called more than once."""


class EngineWrapper:
    """The base of engines that change how another one pulls: everything but `pull` is forwarded to it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def wrapped(self) -> Engine:
        """The engine that everything is forwarded to."""
        return self._engine

    @property
    def engine(self) -> str:
        return self._engine.engine

    @property
    def store(self) -> ImageStore:
        return self._engine.store

    def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
        return self._engine.inspect(reference, cancel=cancel)

    def alive(self) -> bool:
        return self._engine.alive()

    def close(self) -> None:
        self._engine.close()
