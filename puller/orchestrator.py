"""All images: submit every request to its lane, wait for all of them, and hand over one outcome for each."""

from concurrent.futures import ALL_COMPLETED, Future, wait
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from puller.cancellation import Cancellation
from puller.classify import Failure, failure
from puller.errors import FailureClass, FailureKind
from puller.events import RunStarted, fan_out, ignore
from puller.lanes import Lanes
from puller.model import PullOutcome, PullRequest, Report, Status
from puller.pull import PullContext, cancelled, pull_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from puller.backends.base import Backend
    from puller.config import FailureLimit, Settings
    from puller.events import Observer

_TICK = 0.2
"""Seconds within which a signal is heard."""
_GRACE = 1.5
"""Seconds that interrupted pulls get to break off before they are given up."""


def pull_all(
    requests: "Sequence[PullRequest]",
    backend: "Backend",
    settings: "Settings",
    *,
    observer: "Observer" = ignore,
    rejected: "Sequence[PullOutcome]" = (),
) -> Report:
    """Pull every image and report on each, in list order, whatever happens; `rejected` outcomes come last.

    A KeyboardInterrupt ends the run and not the report: what is in flight is cancelled, and the report says so.
    """
    started, began = datetime.now(UTC), monotonic()
    lanes, cancel, emit = Lanes(settings.jobs, settings.per_registry), Cancellation(), fan_out(observer)
    context = PullContext(backend, settings, emit, cancel, lanes.slots)
    guard = _Guard(settings.max_fail, len(requests) + len(rejected), len(rejected), cancel)
    futures: list[Future[PullOutcome]] = []
    try:
        emit(RunStarted(len(requests), backend.engine))
        for request in requests:  # one by one: an interrupt must find here what was submitted
            futures.append(_submit(lanes, guard, request, context))  # noqa: PERF401
        _wait_awake(futures)
    except KeyboardInterrupt as interrupt:
        cancel.cancel(str(interrupt) or "interrupted")
        wait(futures, timeout=_GRACE, return_when=ALL_COMPLETED)
    finally:
        lanes.close()
    outcomes = [_outcome(future, request, cancel) for future, request in zip(futures, requests, strict=False)]
    outcomes += [cancelled(request, cancel.reason) for request in requests[len(futures) :]]
    return Report(started, monotonic() - began, (*outcomes, *rejected), cancel.reason)


def pull_nothing(requests: "Sequence[PullRequest]", why: Failure, rejected: "Sequence[PullOutcome]" = ()) -> Report:
    """Report a run that could not begin: no engine answered, or it was told to stop before one did."""
    outcomes = tuple(PullOutcome.of(request, Status.CANCELLED, failure=why) for request in requests)
    return Report(datetime.now(UTC), 0.0, (*outcomes, *rejected), why.message)


class _Guard:
    """Ends the run when no other image can succeed, or when more have failed than it bears."""

    def __init__(self, limit: "FailureLimit | None", total: int, failed: int, cancel: Cancellation) -> None:
        self._limit = limit
        self._total = total
        self._failed = failed
        self._cancel = cancel
        self._lock = Lock()

    def pull(self, request: PullRequest, context: PullContext) -> PullOutcome:
        outcome = pull_image(request, context)
        if outcome.status is Status.FAILED and outcome.failure:
            with self._lock:
                self._failed += 1
                too_many = self._limit is not None and self._limit.exceeded(self._failed, self._total)
            if outcome.failure.failure_class is FailureClass.HOST_FATAL:
                self._cancel.cancel(outcome.failure.message)
            elif too_many:
                self._cancel.cancel(f"{self._failed} of {self._total} images had failed; the last was {outcome}")
        return outcome


def _wait_awake(futures: "Sequence[Future[PullOutcome]]") -> None:
    """Wait for all, and serve signals meanwhile.

    Python runs a signal's handler in the main thread, and a signal that another thread receives does not wake a
    main thread that waits without a time limit: Ctrl-C would be heard when all is done.
    """
    over = Event()

    def watch() -> None:
        wait(futures, return_when=ALL_COMPLETED)
        over.set()

    Thread(target=watch, name="wait", daemon=True).start()
    while not over.wait(_TICK):
        pass


def _submit(lanes: Lanes, guard: _Guard, request: PullRequest, context: PullContext) -> "Future[PullOutcome]":
    try:
        return lanes.submit(request.reference.registry, guard.pull, request, context)
    except RuntimeError as error:  # the host gives no more threads: that costs this image, not the report
        failed: Future[PullOutcome] = Future()
        failed.set_exception(error)
        return failed


def _outcome(future: "Future[PullOutcome]", request: PullRequest, cancel: Cancellation) -> PullOutcome:
    if not future.done() or future.cancelled():
        return cancelled(request, cancel.reason)
    if error := future.exception():
        why = failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
        return PullOutcome.of(request, Status.FAILED, failure=why)
    return future.result()
