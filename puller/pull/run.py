"""A run over a list: submit every request to the pool of its registry, wait for all, return one outcome for each."""

from collections.abc import Sequence
from concurrent.futures import ALL_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event, Thread
from time import monotonic
from typing import Any

from puller.errors import FailureKind
from puller.events import Finished, Postponed, RunStarted
from puller.failure import Failure, failure
from puller.model import PullOutcome, PullRequest, Status
from puller.plan.disk_check import DiskCheck
from puller.pull.context import FailureBudget, RunContext
from puller.pull.image import ImagePull, cancelled
from puller.pull.up_to_date import UpToDateCheck
from puller.registry.pools import RegistryPool
from puller.text import format_seconds

_GRACE = 1.5
"""Seconds to wait for pulls in flight after the run is cancelled."""


class Run:
    """One run: a concurrent first pass over all images, and a second pass over transient failures, one by one."""

    def __init__(
        self,
        requests: Sequence[PullRequest],
        context: RunContext,
        check: UpToDateCheck,
        budget: FailureBudget,
        disk_check: DiskCheck | None = None,
    ) -> None:
        self._requests = requests
        self._context = context
        self._cancel = context.cancel
        self._retry = context.settings.retry
        self._check = check
        self._budget = budget
        self._disk_check = disk_check
        self._checks: list[Future[PullOutcome | None] | None] = []
        """One for each image if the policy needs checks; None once its result was used, to free memory."""
        self._futures: list[Future[PullOutcome]] = []
        self._postponed: dict[int, ImagePull] = {}
        """Images with a transient failure, by their place in the list."""
        self._final: dict[int, PullOutcome] = {}
        """The final outcomes of postponed images."""

    def outcomes(self) -> list[PullOutcome]:
        """Run, and return one outcome for each request, in order."""
        self._context.emit(RunStarted(len(self._requests), self._context.engine.engine))
        pools = [self._context.pools.of(request.reference.registry) for request in self._requests]
        try:
            pairs = list(zip(self._requests, pools, strict=True))
            if self._check.needed:
                self._checks = [pool.submit_check(self._check.look, request) for request, pool in pairs]
            self._futures = [
                pool.submit(self._image, place, request, pool) for place, (request, pool) in enumerate(pairs)
            ]
            self._wait(self._futures)
            self._second_pass()
        finally:
            self._context.pools.close()
        for place in self._postponed.keys() - self._final.keys():
            self._finish(place, self._first_outcome(place))
        return [self._final.get(place) or self._first_outcome(place) for place in range(len(self._requests))]

    def _image(self, place: int, request: PullRequest, pool: RegistryPool) -> PullOutcome:
        """Wait for the check of an image, which was submitted first, and pull if the image is not up to date."""
        try:
            check = self._checks[place] if self._checks else None
            outcome = check.result() if check else None
        except CancelledError:  # the run ended before the check started
            return cancelled(request, self._cancel.reason)
        if outcome is None:
            if self._disk_check and (why := self._disk_check.refusal(len(self._requests), self._absent)):
                self._cancel.cancel(why.message)
                return PullOutcome.of(request, Status.CANCELLED, failure=why)
            if self._cancel.requested:  # no `Started` event was emitted, so no `Finished` event is due
                return cancelled(request, self._cancel.reason)
            pull = ImagePull(request, pool, self._context)
            outcome = pull.run(self._retry)
            if self._retry.second_pass and outcome.failure and _is_transient(outcome.failure, outcome.status):
                self._postponed[place] = pull
        if check:
            self._checks[place] = None
        if outcome.failure and place in self._postponed:
            self._context.emit(Postponed(request, outcome.failure))
        else:
            self._context.emit(Finished(request, outcome))
        if outcome.failure:
            self._budget.count(outcome)
        return outcome

    def _absent(self) -> Sequence[PullRequest]:
        """Wait until all images are checked, and return those that must be pulled."""
        if not self._checks:
            return self._requests
        checks = [(request, check) for request, check in zip(self._requests, self._checks, strict=True) if check]
        wait(check for _, check in checks)
        return [request for request, check in checks if not (check.cancelled() or check.exception() or check.result())]

    def _second_pass(self) -> None:
        """Try postponed images once more, one at a time."""
        if not self._postponed:
            return
        executor = ThreadPoolExecutor(1, thread_name_prefix="again")
        try:
            # Engines need a moment to clean up after a failed pull.
            pause = executor.submit(self._cancel.sleep, self._retry.delay)
            self._wait([pause, *(executor.submit(self._pull_again, place) for place in sorted(self._postponed))])
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _pull_again(self, place: int) -> None:
        outcome = self._postponed[place].run(replace(self._retry, retries=0))
        if outcome.status is not Status.CANCELLED:  # else the failure of the first pass is reported
            self._finish(place, outcome)
            self._budget.recount(outcome)

    def _finish(self, place: int, outcome: PullOutcome) -> None:
        self._final[place] = outcome
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
        """Wait for all futures; cancel the run at its deadline, and wait a moment for the pulls in flight to stop."""
        done, ends, deadline = Event(), self._context.ends, self._context.settings.deadline or 0
        watcher = Thread(target=_set_when_done, args=(futures, done), name="wait", daemon=True)
        watcher.start()
        with self._cancel.hook(done.set):
            if not done.wait(None if ends is None else max(0.0, ends - monotonic())):
                self._cancel.cancel(f"the deadline of {format_seconds(deadline)} has passed")
        wait(futures, timeout=_GRACE, return_when=ALL_COMPLETED)


def _set_when_done(futures: Sequence[Future[Any]], done: Event) -> None:
    wait(futures, return_when=ALL_COMPLETED)
    done.set()


def _is_transient(why: Failure, status: Status) -> bool:
    return status is Status.FAILED and why.retryable and why.until is None
