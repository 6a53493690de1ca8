"""The look before a pull: asks engine and registry what the policy wants to know, and ends what needs no pull.

It is there to save work. Whatever it cannot learn, it leaves to the pull.
"""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.engine.model import LocalImage, LocalImages
from puller.errors import CancelledError, EngineError, FailureKind
from puller.failure import Failure, classify, failure
from puller.image.reference import ImageReference, Platform
from puller.model import PullOutcome, PullRequest, Status
from puller.plan.policy import Decision, Step, decide
from puller.pull.mirrors import Mirrors
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy


class UpToDateCheck:
    """Looks at the images of one run, from many threads; what the engine holds is asked once for all of them."""

    def __init__(
        self,
        policy: Policy,
        backend: Engine,
        mirrors: Mirrors,
        cancel: Cancellation,
        began: float = 0.0,
        holdings: Callable[[], LocalImages] | None = None,
    ) -> None:
        """`began` is the run's beginning, on the monotonic clock; `holdings` says what the engine had then."""
        self._policy = policy
        self._backend = backend
        self._mirrors = mirrors
        self._cancel = cancel
        self._began = began
        self._lock = Lock()
        self._ask = holdings or backend.store.holdings
        self._holdings: LocalImages | EngineError | None = None
        self._platforms: dict[str, Platform | None] = {}
        """Of the images that had to be looked at, by their ID."""

    @property
    def needed(self) -> bool:
        """Whether there is anything to look at."""
        return self._policy is not Policy.ALWAYS

    def look(self, request: PullRequest) -> PullOutcome | None:
        """End the image without a pull, or say None: pull it."""
        began = monotonic()
        try:
            outcome = None if self._cancel.requested else self._settled(request, decide(self._policy, request, self))
        except EngineError as error:
            why = failure(error.kind, error.message) if error.kind else classify(error.message, error.status)
            return self._unknown(request, why, began)
        except CancelledError:
            return None
        except Exception as error:  # noqa: BLE001 - a fault of ours costs the saving, not the image
            why = failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
            return self._unknown(request, why, began)
        return outcome and outcome.took(monotonic() - began, began - self._began)

    def tagged(self, reference: ImageReference) -> LocalImage | None:
        """Find what the engine has under the tag."""
        return self._held().tagged(reference)

    def pinned(self, reference: ImageReference) -> LocalImage | None:
        """Find what the engine has under the digest."""
        return self._held().pinned(reference)

    def announced(self, reference: ImageReference) -> ResolvedTag | None:
        """Ask the registry, unless it wants to be left alone, or is down; and then its mirrors."""
        return self._mirrors.announced(reference)

    def mirrored(self, reference: ImageReference) -> bool:
        """Whether its registry has mirrors."""
        return self._mirrors.use(reference.registry) is not None

    def is_image(self, held: LocalImage, request: PullRequest, digest: str) -> bool:
        """Ask a mirror: what came from one may have no digest that the engine knows."""
        reference, platform = request.reference, request.platform or self._backend.store.facts().platform
        return platform is not None and self._mirrors.image_id(reference, digest, platform) == held.identity

    def suits(self, held: LocalImage, request: PullRequest) -> bool:
        """Compare the platforms; the engine's own is not that of this process."""
        wanted = request.platform or self._backend.store.facts().platform
        if wanted is None:
            return False
        if held.platforms:
            return wanted in held.platforms
        if held.identity not in self._platforms:
            seen = self._backend.inspect(request.reference, cancel=self._cancel)
            self._platforms[held.identity] = seen.platform if seen and seen.identity == held.identity else None
        return self._platforms[held.identity] == wanted

    def _held(self) -> LocalImages:
        with self._lock:
            if self._holdings is None:
                try:
                    self._holdings = self._ask()
                except EngineError as error:
                    self._holdings = error
            if isinstance(self._holdings, EngineError):
                raise self._holdings
            return self._holdings

    def _settled(self, request: PullRequest, decision: Decision) -> PullOutcome | None:
        reference, status = request.reference, decision.status
        if decision.step is Step.FAIL:
            there = reference.digest and self.pinned(reference)
            words = f"is there, but {reference.tag} does not stand for it" if there else "is not there"
            message = f"{request}: {words}, and nothing is pulled under the policy never"
            return PullOutcome.of(request, Status.FAILED, failure=failure(FailureKind.NOT_PRESENT, message))
        if decision.step is Step.SET_TAG:
            try:
                self._backend.store.tag(f"{reference.name}@{reference.digest}", reference)
            except EngineError:
                return None  # it may have gone meanwhile: a pull brings it back, or says what is wrong
        if status is None:
            return None
        outcome = PullOutcome.of(request, status, digest=decision.digest)
        return outcome.by(decision.mirror, confirmed=False) if decision.mirror else outcome

    def _unknown(self, request: PullRequest, why: Failure, began: float) -> PullOutcome | None:
        """Leave an image of which nothing can be told to the pull, unless there must be none."""
        if self._policy is not Policy.NEVER:
            return None
        return PullOutcome.of(request, Status.FAILED, failure=why).took(monotonic() - began, began - self._began)
