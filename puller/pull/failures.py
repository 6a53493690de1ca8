"""What the failure of one attempt means beyond its image: for its registry, and for the engine."""

from dataclasses import replace

from puller.errors import FailureClass, FailureKind
from puller.events import Paused
from puller.failure import Failure, failure
from puller.failure.retry import AttemptFailedError
from puller.image.reference import ImageReference
from puller.pull.context import RunContext
from puller.registry.pools import Lane

_PERHAPS_THE_ENGINE = {
    FailureKind.DAEMON_UNREACHABLE,
    FailureKind.ENGINE_DISCONNECTED,
    FailureKind.UNEXPECTED_EOF,  # what the docker command says when the engine dies, and when a registry hangs up
}


def wait_for_engine(why: Failure, context: RunContext) -> Failure:
    """Find out whether it was the engine that went, and wait for it; any other failure is returned as it is.

    Raises CancelledError when the run is told to stop meanwhile.
    """
    gone = FailureKind.DAEMON_UNREACHABLE
    if why.kind not in _PERHAPS_THE_ENGINE:
        return why
    if why.kind is FailureKind.UNEXPECTED_EOF and not context.recovery.missing():
        return why
    if context.recovery.comes_back(context.cancel):
        return failure(FailureKind.ENGINE_DISCONNECTED, why.message)
    return why if why.kind is gone else failure(gone, f"the engine has gone: {why.message}")


def registry_failure(
    why: Failure, reference: ImageReference, attempts: int, lane: Lane, context: RunContext
) -> AttemptFailedError:
    """Turn the failure of that many attempts, the last at the registry itself, into one that `retry` understands.

    A registry that wants to be left alone is left alone by all of its images, for as long as it asks. Raises
    CancelledError when the run is told to stop while the engine is waited for.
    """
    why = wait_for_engine(why, context)
    wait = why.wait
    if wait is None and why.failure_class is not FailureClass.RATE_LIMITED:
        return AttemptFailedError(why)
    limit = lane.health.rate_limit
    if wait is None or context.too_long(wait):  # words are often vague about a long wait, headers are not
        wait = limit.left or context.registries.wait_of(reference) or wait
    if wait is None:
        wait = context.throttle_wait(attempts)
    grew, too_long = limit.extend(wait, why), context.too_long(wait)
    if too_long:
        return AttemptFailedError(replace(why, wait=wait, until=limit.until), final=True)
    if grew:
        context.emit(Paused(lane.registry, why, wait))
    return AttemptFailedError(replace(why, wait=wait))
