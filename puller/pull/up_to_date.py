"""The check before a pull: it asks the engine and the registry, and finds the images that need no pull.

It only saves work: an image that it cannot check is pulled.
"""

from collections.abc import Callable
from contextlib import suppress

from puller.engine.model import LocalImage, LocalImages
from puller.errors import CancelledError, EngineError, FailureKind
from puller.failure import Failure, failure, failure_of
from puller.image.platform import fits, not_for
from puller.image.reference import ImageReference, Platform
from puller.model import PullOutcome, PullRequest, Status
from puller.plan.policy import PULL, Step, decide
from puller.pull.context import RunContext
from puller.settings import Policy
from puller.system.clock import monotonic


class UpToDateCheck:
    """Checks the images of one run; thread-safe. Implements `policy.Facts`."""

    def __init__(self, context: RunContext, images: Callable[[], LocalImages]) -> None:
        """`images` returns the engine's images at the start of the run."""
        self._engine, self._cancel, self._mirrors = context.engine, context.cancel, context.mirrors
        self._policy = context.settings.policy
        self._began = context.began
        self._images, self._before = images, context.images
        self._platforms: dict[str, Platform | None] = {}  # platforms of inspected images, by image ID
        self._silent = False  # whether the engine gave no usable answer about an image; it is not asked again
        self.resolve = context.mirrors.resolve

    def list_images(self) -> None:
        """Wait until the engine has listed its images, or will not."""
        with suppress(EngineError):
            self._images()

    def is_absent(self, request: PullRequest) -> bool:
        """Tell whether an image is pulled without a question to its registry: the engine has no such name."""
        with suppress(EngineError):
            images = self._images()
            absent = self._policy is not Policy.NEVER and images.find(request.reference) is None
            return absent and decide(self._policy, request, images, self) is PULL
        return False

    def look(self, request: PullRequest) -> PullOutcome | None:
        """Return the outcome of an image that needs no pull; None for one that must be pulled."""
        if self._cancel.requested:
            return None
        began, decision, why = monotonic(), PULL, None
        try:
            decision = decide(self._policy, request, self._images(), self)
            if decision.step is Step.FAIL:
                why = self._absence(request)
            elif decision.step is Step.SET_TAG:
                reference = request.reference
                self._engine.store.tag(f"{reference.name}@{reference.digest}", reference)
        except CancelledError:
            return None
        except Exception as error:  # noqa: BLE001 - after a bug of ours the image is pulled
            decision, why = PULL, failure_of(error)
        status = Status.FAILED if why and self._policy is Policy.NEVER else decision.status
        if status is None:
            return None
        outcome = PullOutcome.of(request, status, decision.digest, why, monotonic() - began, began - self._began)
        outcome = outcome._replace(warning="" if why else self._misfit(request))
        return outcome._replace(mirror=decision.mirror, confirmed=False) if decision.mirror else outcome

    def with_kept(self, request: PullRequest, outcome: PullOutcome) -> PullOutcome:
        """Set `PullOutcome.kept`, whatever the policy."""
        with suppress(EngineError):
            return outcome if outcome.ok else outcome._replace(kept=self._before().find(request.reference) is not None)
        return outcome

    def mirrored(self, reference: ImageReference) -> bool:
        return self._mirrors.use(reference.registry) is not None

    def is_image(self, image: LocalImage, request: PullRequest, digest: str) -> bool:
        """Compare image IDs: a graph-driver store records no digest for an image that came from a mirror."""
        reference, platform = request.reference, request.platform or self._engine.store.facts().platform
        return platform is not None and self._mirrors.image_id(reference, digest, platform) == image.identity

    def suits(self, image: LocalImage, request: PullRequest) -> bool:
        """Compare the image's platform with the requested one, or else with the engine's."""
        platform = request.platform or self._engine.store.facts().platform
        if platform is None:
            return False
        if image.platforms:
            return platform in image.platforms
        if self._silent:
            return False
        if image.identity not in self._platforms:
            seen = self._engine.inspect(request.reference, cancel=self._cancel)
            self._silent = seen is None
            self._platforms[image.identity] = seen.platform if seen and seen.identity == image.identity else None
        if self._platforms[image.identity] == platform or not self._engine.store.facts().keeps_platforms:
            return self._platforms[image.identity] == platform
        # Of an image for several platforms, an engine reports one unless asked for another.
        return self._engine.store.platforms((image.identity,), platform).get(image.identity) == platform

    def _misfit(self, request: PullRequest) -> str:
        """Warn of an image that the engine cannot run, where its list of images tells the platforms."""
        image = None if request.platform else self._images().find(request.reference)
        own = self._engine.store.facts().platform if image and image.platforms else None
        if image is None or own is None or any(fits(each, None, own) for each in image.platforms):
            return ""
        return not_for(own, image.platforms[0])

    def _absence(self, request: PullRequest) -> Failure:
        reference = request.reference
        there = reference.digest and self._images().pinned(reference)
        words = f"is present, but the tag {reference.tag} is not on it" if there else "is not present"
        return failure(FailureKind.NOT_PRESENT, f"{request}: {words}, and the policy never pulls nothing")
