"""All images: submit every request to its lane, wait for all of them, and hand over one outcome for each."""

from collections.abc import Callable, Sequence
from concurrent.futures import ALL_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from puller.cancellation import Cancellation
from puller.engine.interface import Engine
from puller.engine.model import LocalImages
from puller.errors import FailureKind
from puller.events import ENGINE, Finished, Observer, Paused, Postponed, RunStarted, fan_out, ignore
from puller.failure import Failure, failure
from puller.model import PullOutcome, PullRequest, Report, Status
from puller.plan.disk_check import NO_DISK_CHECK, DiskCheck, DiskGate
from puller.pull.awake import wait_awake
from puller.pull.context import FailureBudget, RunContext
from puller.pull.engine_recovery import EngineRecovery
from puller.pull.image import ImagePull, cancelled
from puller.pull.mirrors import Mirrors
from puller.pull.up_to_date import UpToDateCheck
from puller.registry.pools import Lane, Lanes
from puller.registry.resolver import NULL_RESOLVER, Resolver
from puller.settings import Settings
from puller.text import format_seconds

_GRACE = 1.5
"""Seconds that interrupted pulls get to break off before they are given up."""


def pull_all(
    requests: Sequence[PullRequest],
    backend: Engine,
    settings: Settings,
    *,
    observer: Observer = ignore,
    rejected: Sequence[PullOutcome] = (),
    advisor: Resolver = NULL_RESOLVER,
    room: DiskCheck = NO_DISK_CHECK,
    holdings: Callable[[], LocalImages] | None = None,
) -> Report:
    """Pull every image and report on each, in list order, whatever happens; `rejected` outcomes come last.

    A KeyboardInterrupt ends the run and not the report: what is in flight is cancelled, and the report says so.
    `advisor` is asked what the registries themselves say: before a pull as the policy wants it, and in trouble; `room`
    whether what must be pulled fits, before the first pull. `holdings` says what the engine has, where somebody has
    asked it already.
    """
    started, began = datetime.now(UTC), monotonic()
    cancel, emit, total = Cancellation(), fan_out(observer), len(requests) + len(rejected)
    widths = {name: each.concurrency for name, each in settings.registries.items() if each.concurrency}
    lanes = Lanes(settings.jobs, settings.per_registry, widths=widths, breaker=settings.breaker, reach=advisor.reach)
    mirrors = Mirrors(settings.registries, advisor, lanes)
    engine = EngineRecovery(backend.alive, settings.engine_wait, lambda: emit(_engine_missed(settings)))
    ends = None if settings.deadline is None else began + settings.deadline
    context = RunContext(backend, settings, emit, cancel, lanes, engine, mirrors, advisor.wait_of, ends, began)
    guard = FailureBudget(settings.max_fail, total, len(rejected), cancel)
    check = UpToDateCheck(settings.policy, backend, mirrors, cancel, began, holdings)
    with cancel.hook(advisor.close):
        outcomes = _Run(requests, settings, context, guard, check, DiskGate(room, cancel)).outcomes()
    return Report(started, monotonic() - began, (*outcomes, *rejected), cancel.reason)


def pull_nothing(requests: Sequence[PullRequest], why: Failure, rejected: Sequence[PullOutcome] = ()) -> Report:
    """Report a run that could not begin: no engine answered, or it was told to stop before one did."""
    outcomes = tuple(PullOutcome.of(request, Status.CANCELLED, failure=why) for request in requests)
    return Report(datetime.now(UTC), 0.0, (*outcomes, *rejected), why.message)


def _engine_missed(settings: Settings) -> Paused:
    return Paused(ENGINE, failure(FailureKind.DAEMON_UNREACHABLE, "the engine does not answer"), settings.engine_wait)


class _Run:
    """One run: a first pass over all images at once, and a gentle second one over what may have passed by then."""

    def __init__(
        self,
        requests: Sequence[PullRequest],
        settings: Settings,
        context: RunContext,
        guard: FailureBudget,
        check: UpToDateCheck,
        gate: DiskGate,
    ) -> None:
        self._requests = requests
        self._settings = settings
        self._context = context
        self._cancel = context.cancel
        self._guard = guard
        self._check = check
        self._gate = gate
        self._looks: list[Future[PullOutcome | None] | None] = []
        """One for each image, unless the policy wants none; it goes when it has served."""
        self._futures: list[Future[PullOutcome]] = []
        self._second: list[Future[None]] = []
        self._postponed: dict[int, ImagePull] = {}
        """What failed for a passing reason, by its place in the list."""
        self._settled: dict[int, PullOutcome] = {}
        """What came of those in the end."""

    def outcomes(self) -> list[PullOutcome]:
        """Run, and give one outcome for each request."""
        try:
            self._context.emit(RunStarted(len(self._requests), self._context.backend.engine))
            if self._check.needed:
                self._looks = [self._lane(request).look(self._check.look, request) for request in self._requests]
            for place, request in enumerate(self._requests):  # an interrupt must find here what was submitted
                self._futures.append(self._lane(request).submit(self._do, place, request))
            self._wait(self._futures)
            self._second_pass()
        except KeyboardInterrupt as interrupt:
            self._cancel.cancel(str(interrupt) or "interrupted")
            wait(self._futures, timeout=_GRACE, return_when=ALL_COMPLETED)
            wait(self._second, timeout=_GRACE, return_when=ALL_COMPLETED)
        finally:
            self._context.lanes.close()
        for place in self._postponed.keys() - self._settled.keys():
            self._settle(place, self._first_outcome(place))
        return [self._settled.get(place) or self._first_outcome(place) for place in range(len(self._requests))]

    def _lane(self, request: PullRequest) -> Lane:
        return self._context.lanes.of(request.reference.registry)

    def _do(self, place: int, request: PullRequest) -> PullOutcome:
        """Wait for the look at an image, which began before its turn came, and pull where that was not enough."""
        try:
            look = self._looks[place] if self._looks else None
            outcome = look.result() if look else None
        except CancelledError:  # the run was over before anybody looked
            return cancelled(request, self._cancel.reason)
        if outcome is None and (why := self._gate.refusal(len(self._requests), self._absent)):
            return PullOutcome.of(request, Status.CANCELLED, failure=why)
        if look:
            self._looks[place] = None
        if outcome is None:
            return self._pull(place, request)
        self._context.emit(Finished(request, outcome))
        self._guard.judge(outcome)
        return outcome

    def _absent(self) -> Sequence[PullRequest]:
        """Wait until all images were looked at, and give those that must be pulled."""
        if not self._looks:
            return self._requests
        looks = list(zip(self._requests, list(self._looks), strict=True))
        wait(look for _, look in looks if look)
        return [
            request for request, look in looks if look and not (look.cancelled() or look.exception() or look.result())
        ]

    def _pull(self, place: int, request: PullRequest) -> PullOutcome:
        if self._cancel.requested:  # an image whose turn never came is nobody's event
            return cancelled(request, self._cancel.reason)
        pull = ImagePull(request, self._context)
        outcome = pull.run(self._settings.retry)
        if outcome.failure and self._settings.retry.second_pass and _may_pass(outcome):
            self._postponed[place] = pull
            self._context.emit(Postponed(request, outcome.failure))
        else:
            self._context.emit(Finished(request, outcome))
        self._guard.judge(outcome)
        return outcome

    def _second_pass(self) -> None:
        """Try what was postponed once more, one image at a time; a signal finds the main thread awake."""
        with_one_thread = ThreadPoolExecutor(1, thread_name_prefix="again")
        try:
            if self._postponed:  # engines tidy up for a moment after what failed last
                self._second = [with_one_thread.submit(self._cancel.sleep, self._settings.retry.delay)]
            self._second += [with_one_thread.submit(self._pull_again, place) for place in sorted(self._postponed)]
            self._wait(self._second)
        finally:
            with_one_thread.shutdown(wait=False, cancel_futures=True)

    def _pull_again(self, place: int) -> None:
        outcome = self._postponed[place].run(replace(self._settings.retry, retries=0))
        if outcome.status is not Status.CANCELLED:  # then the reason of the first pass says more
            self._settle(place, outcome)
            self._guard.judge_again(outcome)

    def _settle(self, place: int, outcome: PullOutcome) -> None:
        self._settled[place] = outcome
        self._context.emit(Finished(self._requests[place], outcome))

    def _first_outcome(self, place: int) -> PullOutcome:
        request = self._requests[place]
        future = self._futures[place] if place < len(self._futures) else None
        if future is None or not future.done() or future.cancelled():
            return cancelled(request, self._cancel.reason)
        if error := future.exception():
            why = failure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
            return PullOutcome.of(request, Status.FAILED, failure=why)
        return future.result()

    def _wait(self, futures: Sequence[Future[Any]]) -> None:
        """Wait for all, and end the run at its deadline."""
        if not wait_awake(futures, until=self._context.ends):
            self._cancel.cancel(f"the deadline of {format_seconds(self._settings.deadline or 0)} has passed")
            wait(futures, timeout=_GRACE, return_when=ALL_COMPLETED)


def _may_pass(outcome: PullOutcome) -> bool:
    why = outcome.failure
    return outcome.status is Status.FAILED and why is not None and why.retryable and why.until is None
