"""The look before a pull: asks engine and registry what the policy wants to know, and ends what needs no pull.

It is there to save work. Whatever it cannot learn, it leaves to the pull.
"""

from collections.abc import Callable
from time import monotonic

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.engine.model import LocalImage, LocalImages
from puller.errors import CancelledError, EngineError, FailureKind
from puller.failure import Failure, engine_failure, failure
from puller.image.reference import ImageReference, Platform
from puller.model import PullOutcome, PullRequest, Status
from puller.plan.policy import PULL, Step, decide
from puller.pull.mirrors import Mirrors
from puller.settings import Policy


class UpToDateCheck:
    """Looks at the images of one run, from many threads; fulfils `policy.Facts`."""

    def __init__(
        self,
        policy: Policy,
        engine: Engine,
        images: Callable[[], LocalImages],
        mirrors: Mirrors,
        cancel: Cancellation,
        began: float = 0.0,
    ) -> None:
        """`images` says what the engine had when the run began, at the time `began` of the monotonic clock."""
        self._policy = policy
        self._engine = engine
        self._images = images
        self._mirrors = mirrors
        self._cancel = cancel
        self._began = began
        self._platforms: dict[str, Platform | None] = {}
        """Of the images that had to be looked at, by their ID."""
        self.announced = mirrors.announced

    @property
    def needed(self) -> bool:
        """Whether there is anything to look at."""
        return self._policy is not Policy.ALWAYS

    def look(self, request: PullRequest) -> PullOutcome | None:
        """End the image without a pull, or say None: pull it."""
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
            why = engine_failure(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs the saving, not the image
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
        """Whether its registry has mirrors."""
        return self._mirrors.use(reference.registry) is not None

    def is_image(self, held: LocalImage, request: PullRequest, digest: str) -> bool:
        """Ask a mirror: what came from one may have no digest that the engine knows."""
        reference, platform = request.reference, request.platform or self._engine.store.facts().platform
        return platform is not None and self._mirrors.image_id(reference, digest, platform) == held.identity

    def suits(self, held: LocalImage, request: PullRequest) -> bool:
        """Compare the platforms; the engine's own is not that of this process."""
        wanted = request.platform or self._engine.store.facts().platform
        if wanted is None:
            return False
        if held.platforms:
            return wanted in held.platforms
        if held.identity not in self._platforms:
            seen = self._engine.inspect(request.reference, cancel=self._cancel)
            self._platforms[held.identity] = seen.platform if seen and seen.identity == held.identity else None
        return self._platforms[held.identity] == wanted

    def _absence(self, request: PullRequest) -> Failure:
        reference = request.reference
        there = reference.digest and self._images().pinned(reference)
        words = f"is there, but {reference.tag} does not stand for it" if there else "is not there"
        message = f"{request}: {words}, and nothing is pulled under the policy never"
        return failure(FailureKind.NOT_PRESENT, message)

    def _retagged(self, reference: ImageReference) -> bool:
        """Set the tag; the image may have gone meanwhile: a pull brings it back, or says what is wrong."""
        try:
            self._engine.store.tag(f"{reference.name}@{reference.digest}", reference)
        except EngineError:
            return False
        return True
