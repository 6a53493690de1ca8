"""One image, from its turn to its end: pull, check, retry. A failed image is a value; nothing here raises for it."""

from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from puller.classify import Failure, classify, failure
from puller.errors import CancelledError, EngineError, FailureClass, FailureKind
from puller.events import Paused, Progress, RetryScheduled, Started
from puller.model import Attempt, Pulled, PullOutcome, PullRequest, Status
from puller.retry import AttemptFailedError, with_retries
from puller.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from puller.backends.base import Backend
    from puller.cancellation import Cancellation
    from puller.config import RetryPolicy, Settings
    from puller.engine_wait import EngineWait
    from puller.events import Observer
    from puller.lanes import Lanes
    from puller.reference import ImageReference

_PERHAPS_THE_ENGINE = {
    FailureKind.DAEMON_UNREACHABLE,
    FailureKind.ENGINE_DISCONNECTED,
    FailureKind.UNEXPECTED_EOF,  # what the docker command says when the engine dies, and when a registry hangs up
}
_RESOLVING, _TRANSFER = "resolving", "transfer"
"""Before and after the engine has the manifest: the same words may mean another thing then."""
_THROTTLE = 5
"""How many times the bound of a retry's wait a registry gets that throttles and does not say for how long."""


@dataclass(frozen=True, slots=True)
class PullContext:
    """What all pulls of a run share."""

    backend: "Backend"
    settings: "Settings"
    emit: "Observer"
    cancel: "Cancellation"
    lanes: "Lanes"
    engine: "EngineWait"
    ask_wait: "Callable[[ImageReference], float | None]"
    """Asks a registry for how many seconds it wants to be left alone; None where it does not say."""
    ends: float | None = None
    """The run's deadline, on the monotonic clock."""
    began: float = 0.0
    """The run's beginning, on the same."""


def cancelled(request: PullRequest, reason: str) -> PullOutcome:
    """Build the outcome of an image that was never tried."""
    return PullOutcome.of(request, Status.CANCELLED, failure=failure(FailureKind.CANCELLED, reason))


class ImagePull:
    """The story of one image while it is being told."""

    def __init__(self, request: PullRequest, context: PullContext) -> None:
        """Begin the story: the image's turn has come."""
        self.request = request
        self._context = context
        self._lane = context.lanes.of(request.reference.registry)
        self._began = monotonic()
        self._attempts: list[Attempt] = []
        self._phase = ""
        self._timeline = Timeline()

    def run(self, policy: "RetryPolicy") -> PullOutcome:
        """Pull, trying again as the policy says; a second call goes on where the first one ended."""
        context = self._context
        try:
            pulled = with_retries(self._attempt, policy, sleep=context.cancel.sleep, on_retry=self._announce)
        except AttemptFailedError as error:
            return self._ended(Status.FAILED, failure=error.failure)
        except CancelledError:
            return self._ended(Status.CANCELLED, failure=failure(FailureKind.CANCELLED, context.cancel.reason))
        return self._ended(Status.UP_TO_DATE if pulled.up_to_date else Status.PULLED, digest=pulled.digest)

    def _attempt(self, _number: int) -> Pulled:
        self._await_turn()
        with self._context.lanes.slots:
            self._context.cancel.check()
            result = self._pull_once()
        self._lane.breaker.record(result if isinstance(result, Failure) else None)
        if isinstance(result, Failure):
            raise self._judged(result)
        return result

    def _await_turn(self) -> None:
        """Wait while the registry wants to be left alone; fail at once where waiting is no use."""
        cooldown = self._lane.cooldown
        while left := cooldown.left:
            if cooldown.why and self._too_long(left):
                raise AttemptFailedError(replace(cooldown.why, wait=left, until=cooldown.until), final=True)
            self._context.cancel.sleep(left)
        if not self._lane.breaker.admits():
            last = self._lane.breaker.last
            message = f"{self._lane.registry} does not answer" + (f"; the last failure: {last.message}" if last else "")
            raise AttemptFailedError(failure(FailureKind.REGISTRY_UNAVAILABLE, message), final=True)

    def _pull_once(self) -> Pulled | Failure:
        context, number = self._context, len(self._attempts) + 1
        context.emit(Started(self.request, number))
        self._phase = _RESOLVING
        started, why = monotonic(), None
        timeline = self._timeline = Timeline()
        try:
            pulled = context.backend.pull(
                self.request, cancel=context.cancel, clocks=context.settings.clocks, progress=self._progress
            )
            self._check(pulled)
            self._name()
        except EngineError as error:
            why = self._read(error)
        except CancelledError:
            why = failure(FailureKind.CANCELLED, context.cancel.reason)
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this image, not the run
            why = failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
        finally:
            ran = (started - self._began, monotonic() - started)
            self._attempts.append(Attempt(*ran, why, timeline.phases(), timeline.bytes))
        return why or pulled

    def _check(self, pulled: Pulled) -> None:
        """Compare what the engine has now with the digest that was asked for, or else announced."""
        reference = self.request.reference
        wanted = reference.digest or pulled.digest
        kept = self._context.backend.inspect(reference, cancel=self._context.cancel)
        if wanted is None or kept is None:
            return
        if kept.identity is None and self.request.platform:
            return  # some engines see the images of their own platform only
        if reference.digest and pulled.digest not in (None, reference.digest):
            message = f"asked for {reference.digest}, the engine announced {pulled.digest}"
        elif kept.identity is None:
            message = f"the engine announced {wanted} and has no such image"
        elif kept.digests and wanted not in kept.digests:
            message = f"expected {wanted}, the engine has {', '.join(kept.digests)}"
        else:
            return
        raise EngineError(message, kind=FailureKind.DIGEST_MISMATCH)

    def _name(self) -> None:
        """Let the tag beside a digest stand for what was pulled: engines leave it where it was."""
        reference = self.request.reference
        if reference.tag and reference.digest:
            self._context.backend.store.tag(f"{reference.name}@{reference.digest}", reference)

    def _judged(self, why: Failure) -> AttemptFailedError:
        """See what the failure means beyond this image, for its registry and for the engine."""
        if why.kind in _PERHAPS_THE_ENGINE:
            why = self._engine_or(why)
        if why.wait is not None or why.failure_class is FailureClass.RATE_LIMITED:
            return self._cooled(why)
        return AttemptFailedError(why)

    def _engine_or(self, why: Failure) -> Failure:
        engine, gone = self._context.engine, FailureKind.DAEMON_UNREACHABLE
        if why.kind is FailureKind.UNEXPECTED_EOF and not engine.missing():
            return why
        if engine.comes_back(self._context.cancel):
            return failure(FailureKind.ENGINE_DISCONNECTED, why.message)
        return why if why.kind is gone else failure(gone, f"the engine has gone: {why.message}")

    def _cooled(self, why: Failure) -> AttemptFailedError:
        """Leave the registry alone, all of its images, for as long as it asks."""
        context, cooldown = self._context, self._lane.cooldown
        wait = why.wait
        if wait is None or self._too_long(wait):  # words are often vague about a long wait, headers are not
            wait = cooldown.left or context.ask_wait(self.request.reference) or wait
        if wait is None:
            wait = context.settings.retry.delay * _THROTTLE * 2 ** (len(self._attempts) - 1)
        grew, too_long = cooldown.extend(wait, why), self._too_long(wait)
        if too_long:
            return AttemptFailedError(replace(why, wait=wait, until=cooldown.until), final=True)
        if grew:
            context.emit(Paused(self._lane.registry, why, wait))
        return AttemptFailedError(replace(why, wait=wait))

    def _too_long(self, wait: float) -> bool:
        ends = self._context.ends
        return wait > self._context.settings.retry.max_wait or (ends is not None and monotonic() + wait > ends)

    def _read(self, error: EngineError) -> Failure:
        if error.kind:
            return failure(error.kind, error.message)
        return classify(error.message, error.status, phase=self._phase)

    def _progress(self, progress: Progress) -> None:
        if progress.layers:
            self._phase = _TRANSFER
        self._timeline.saw(progress.phase, progress.current)
        self._context.emit(progress)

    def _announce(self, _number: int, why: Failure, delay: float) -> None:
        self._context.emit(RetryScheduled(self.request, len(self._attempts), why, delay))

    def _ended(self, status: Status, *, digest: str | None = None, failure: Failure | None = None) -> PullOutcome:
        return PullOutcome.of(
            self.request,
            status,
            digest=digest,
            attempts=tuple(self._attempts),
            seconds=monotonic() - self._began,
            failure=failure,
            began=self._began - self._context.began,
        )
