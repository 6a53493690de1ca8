"""The check before a pull: it asks the engine and the registry, and finds the images that need no pull.

It only saves work: an image that it cannot check is pulled.
"""

from collections.abc import Callable
from time import monotonic

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.engine.model import LocalImage, LocalImages
from puller.errors import CancelledError, EngineError, FailureKind
from puller.failure import Failure, failure, failure_of
from puller.image.reference import ImageReference, Platform
from puller.model import PullOutcome, PullRequest, Status
from puller.plan.policy import PULL, Step, decide
from puller.pull.mirrors import Mirrors
from puller.settings import Policy


class UpToDateCheck:
    """Checks the images of one run; thread-safe. Implements `policy.Facts`."""

    def __init__(
        self,
        policy: Policy,
        engine: Engine,
        images: Callable[[], LocalImages],
        mirrors: Mirrors,
        cancel: Cancellation,
        began: float = 0.0,
    ) -> None:
        """`images` returns the engine's images at the start of the run, which was at `began` on the monotonic clock."""
        self._policy = policy
        self._engine = engine
        self._images = images
        self._mirrors = mirrors
        self._cancel = cancel
        self._began = began
        self._platforms: dict[str, Platform | None] = {}
        """Platforms of inspected images, by image ID."""
        self.announced = mirrors.resolve

    @property
    def needed(self) -> bool:
        """Whether the policy needs a check at all."""
        return self._policy is not Policy.ALWAYS

    def look(self, request: PullRequest) -> PullOutcome | None:
        """Return the outcome of an image that needs no pull; None for one that must be pulled."""
        if self._cancel.requested:
            return None
        began, decision, why = monotonic(), PULL, None
        try:
            decision = decide(self._policy, request, self._images(), self)
            if decision.step is Step.FAIL:
                why = self._absence(request)
            elif decision.step is Step.SET_TAG and not self._retagged(request.reference):
                return None
        except CancelledError:
            return None
        except EngineError as error:
            why = failure_of(error)
        except Exception as error:  # noqa: BLE001 - after a bug of ours the image is pulled
            why = failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
        status = Status.FAILED if why and self._policy is Policy.NEVER else decision.status
        if status is None:
            return None
        outcome = PullOutcome.of(
            request,
            status,
            digest=decision.digest,
            seconds=monotonic() - began,
            failure=why,
            began=began - self._began,
        )
        return outcome.by(decision.mirror, confirmed=False) if decision.mirror else outcome

    def mirrored(self, reference: ImageReference) -> bool:
        return self._mirrors.use(reference.registry) is not None

    def is_image(self, held: LocalImage, request: PullRequest, digest: str) -> bool:
        """Compare image IDs: a graph-driver store records no digest for an image that came from a mirror."""
        reference, platform = request.reference, request.platform or self._engine.store.facts().platform
        return platform is not None and self._mirrors.image_id(reference, digest, platform) == held.identity

    def suits(self, held: LocalImage, request: PullRequest) -> bool:
        """Compare the image's platform with the requested one, or else with the engine's."""
        platform = request.platform or self._engine.store.facts().platform
        if platform is None:
            return False
        if held.platforms:
            return platform in held.platforms
        if held.identity not in self._platforms:
            seen = self._engine.inspect(request.reference, cancel=self._cancel)
            self._platforms[held.identity] = seen.platform if seen and seen.identity == held.identity else None
        return self._platforms[held.identity] == platform

    def _absence(self, request: PullRequest) -> Failure:
        reference = request.reference
        there = reference.digest and self._images().pinned(reference)
        words = f"is present, but the tag {reference.tag} is not on it" if there else "is not present"
        message = f"{request}: {words}, and the policy never pulls nothing"
        return failure(FailureKind.NOT_PRESENT, message)

    def _retagged(self, reference: ImageReference) -> bool:
        """Set the tag; False if that fails, for example because the image was removed meanwhile."""
        try:
            self._engine.store.tag(f"{reference.name}@{reference.digest}", reference)
        except EngineError:
            return False
        return True
