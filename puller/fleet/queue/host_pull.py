"""The pull of one task into the engine of this host."""

from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from threading import Timer
from typing import NamedTuple

from puller.cancellation import Cancellation
from puller.engine import connect, locate
from puller.engine.interface import Engine
from puller.errors import EngineUnreachableError, FailureKind, PullerError
from puller.failure import Failure, classify, failure, failure_of
from puller.fleet.queue.messages import PullTask
from puller.model import PullOutcome, PullRequest, Report, Status
from puller.prune.pull_record import remember_pulls
from puller.pull.session import PullSession
from puller.registry.pools import SharedLimits
from puller.settings import BackendChoice, Policy, PrefetchMode, Settings

Limits = Callable[[Cancellation], SharedLimits]
"""Makes the limits of a session, which ends with the cancellation."""


class HostEngine(NamedTuple):
    """Which engine of this host the worker pulls into, and how."""

    backend: BackendChoice = BackendChoice.AUTO
    docker_command: str = "docker"
    context: str | None = None
    seconds: float = 6600.0
    """The longest that one task may take, with its waits."""
    settings: Settings = Settings()
    """Retries, time limits and mirrors; the others are not for one image."""


def pull(task: PullTask, engine: HostEngine, limits: Limits) -> PullOutcome:
    """Pull the image of a task; every failure is an outcome."""
    request, cancel = task.request, Cancellation()
    ends = Timer(engine.seconds, cancel.cancel, ("the time of the task is over",))
    ends.daemon = True
    ends.start()
    try:
        return _pull(task, engine, limits(cancel), cancel)
    except PullerError as error:
        return failed(request, _unreachable(error))
    except Exception as error:  # noqa: BLE001 - a bug of ours fails this image, not the worker
        return failed(request, failure_of(error))
    finally:
        ends.cancel()


def failed(request: PullRequest, why: Failure) -> PullOutcome:
    """Return the outcome of an image that was not pulled."""
    return PullOutcome.of(request, Status.FAILED, failure=why)


def _pull(task: PullTask, engine: HostEngine, limits: SharedLimits, cancel: Cancellation) -> PullOutcome:
    request, prefetch = task.request, engine.settings.prefetch._replace(mode=PrefetchMode.NEVER)
    settings = engine.settings._replace(jobs=1, policy=task.policy, prefetch=prefetch)
    address = locate(engine.backend, docker_command=engine.docker_command, context=engine.context)
    opened = connect(address, engine.backend, docker_command=engine.docker_command, connections=1)
    with closing(opened):
        if task.policy is Policy.MISSING and (kept := _kept(request, opened, settings, cancel)):
            return kept
        with PullSession(opened, settings=settings, cancel=cancel, limits=limits) as session:
            before = session.images_before
            outcome = session.pull_one(request)
            with suppress(Exception):  # a pull must not fail because its record for `puller prune` fails
                report = Report(datetime.now(UTC), outcome.seconds, (outcome,))
                remember_pulls(report, opened.store, before)
    return outcome


def _kept(request: PullRequest, engine: Engine, settings: Settings, cancel: Cancellation) -> PullOutcome | None:
    """Return the outcome if the engine has any image of the name, whatever its digest."""
    by_name = request._replace(reference=request.reference.with_digest(None))
    with PullSession(engine, settings=settings._replace(policy=Policy.NEVER), cancel=cancel) as session:
        outcome = session.pull_one(by_name)
    return outcome if outcome.ok else None


def _unreachable(error: PullerError) -> Failure:
    kind = error.kind if isinstance(error, EngineUnreachableError) else None
    kind = kind or classify(str(error)).kind
    return failure(FailureKind.DAEMON_UNREACHABLE if kind is FailureKind.UNCLASSIFIED else kind, str(error))
