"""What became of a host, and why its engine is gone: by ssh, the host or its network may be the reason."""

from collections.abc import Sequence

from puller.engine.interface import Engine
from puller.errors import EngineBusyError, EngineError, EngineUnreachableError, FailureClass, FailureKind, PullerError
from puller.events import ENGINE, Event, Finished, Observer, Paused
from puller.failure import Failure, classify, failure, failure_of
from puller.fleet.connection import lost_connection
from puller.model import ENGINE_GONE, PullOutcome, Status
from puller.model.hosts import HostState

_ADVICE = "Start the engine of the host, then run the same command again; `puller fleet check` shows more."


def state_of(outcomes: Sequence[PullOutcome]) -> tuple[HostState, Failure | None]:
    """Return what became of a host that was reached, and what ended all its pulls, if anything did."""
    failed = [each.failure for each in outcomes if each.failure and each.failure.kind is not FailureKind.CANCELLED]
    fatal = next((why for why in failed if why.failure_class is FailureClass.HOST_FATAL), None)
    if failed and all(why.kind in ENGINE_GONE for why in failed):
        return HostState.UNREACHABLE, failed[0]
    if failed:
        return HostState.FAILED, fatal
    return (HostState.DONE if all(each.ok for each in outcomes) else HostState.CANCELLED), None


def lost(engine: Engine, why: Failure) -> Failure:
    """Return why an engine is gone: what ssh says if its connection is down, otherwise that it does not answer."""
    error = lost_connection(engine)
    return why_not_used(error) if error else why._replace(advice=_ADVICE)


def observing(engine: Engine, observe: Observer) -> Observer:
    """Return an observer to which a lost engine is one that cannot be reached, and its images are not failed."""

    def seen(event: Event) -> None:
        if isinstance(event, Paused) and event.subject == ENGINE:
            event = event._replace(failure=lost(engine, event.failure))
        elif isinstance(event, Finished) and (why := event.outcome.failure) and why.kind in ENGINE_GONE:
            event = event._replace(outcome=not_pulled(event.outcome, lost(engine, why)))
        observe(event)

    return seen


def is_lost(outcome: PullOutcome, *, stopped: bool) -> bool:
    """Whether an image was not pulled because its engine is gone: it failed for that, or was cancelled after it."""
    gone = outcome.failure is not None and outcome.failure.kind in ENGINE_GONE
    return gone or (outcome.status is Status.CANCELLED and not stopped)


def not_pulled(outcome: PullOutcome, why: Failure) -> PullOutcome:
    """Return the outcome of an image that is no failure of its own."""
    return outcome._replace(status=Status.CANCELLED, failure=why)


def why_not_used(error: PullerError | EngineError) -> Failure:
    """Return why an engine was not used; a context that does not exist is the only wrong address with another error."""
    if isinstance(error, EngineError):
        return failure_of(error)
    message = str(error)
    if isinstance(error, EngineBusyError):
        return failure(FailureKind.ENGINE_BUSY, message)
    if isinstance(error, EngineUnreachableError):
        kind = error.kind or classify(message).kind
        gone = kind in (FailureKind.UNCLASSIFIED, FailureKind.DAEMON_UNREACHABLE)
        why = failure(FailureKind.DAEMON_UNREACHABLE if gone else kind, message)
        if error.advised:
            return why._replace(advice="")
        return why._replace(advice=_ADVICE) if gone else why
    return failure(FailureKind.CONTEXT_NOT_FOUND, message)
