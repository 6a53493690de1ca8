"""All images: submit every request to its lane, wait for all of them, and hand over one outcome for each."""

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
from puller.registry.pools import Lane
from puller.text import format_seconds

_GRACE = 1.5
"""Seconds that pulls in flight get to break off, once the run is cancelled, before they are given up."""


class Run:
    """One run: a first pass over all images at once, and a gentle second one over what may have passed by then."""

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
        self._looks: list[Future[PullOutcome | None] | None] = []
        """One for each image, unless the policy wants none; it goes when it has served."""
        self._futures: list[Future[PullOutcome]] = []
        self._postponed: dict[int, ImagePull] = {}
        """What failed for a passing reason, by its place in the list."""
        self._settled: dict[int, PullOutcome] = {}
        """What came of those in the end."""

    def outcomes(self) -> list[PullOutcome]:
        """Run, and give one outcome for each request."""
        self._context.emit(RunStarted(len(self._requests), self._context.engine.engine))
        lanes = [self._context.lanes.of(request.reference.registry) for request in self._requests]
        try:
            pairs = list(zip(self._requests, lanes, strict=True))
            if self._check.needed:
                self._looks = [lane.look(self._check.look, request) for request, lane in pairs]
            self._futures = [
                lane.submit(self._image, place, request, lane) for place, (request, lane) in enumerate(pairs)
            ]
            self._wait(self._futures)
            self._second_pass()
        finally:
            self._context.lanes.close()
        for place in self._postponed.keys() - self._settled.keys():
            self._settle(place, self._first_outcome(place))
        return [self._settled.get(place) or self._first_outcome(place) for place in range(len(self._requests))]

    def _image(self, place: int, request: PullRequest, lane: Lane) -> PullOutcome:
        """Wait for the look at an image, which began long before, and pull where that was not enough."""
        try:
            look = self._looks[place] if self._looks else None
            outcome = look.result() if look else None
        except CancelledError:  # the run was over before anybody looked
            return cancelled(request, self._cancel.reason)
        if outcome is None:
            if self._disk_check and (why := self._disk_check.refusal(len(self._requests), self._absent)):
                self._cancel.cancel(why.message)
                return PullOutcome.of(request, Status.CANCELLED, failure=why)
            if self._cancel.requested:  # nobody was told that this image began
                return cancelled(request, self._cancel.reason)
            pull = ImagePull(request, lane, self._context)
            outcome = pull.run(self._retry)
            if self._retry.second_pass and outcome.failure and _may_pass(outcome.failure, outcome.status):
                self._postponed[place] = pull
        if look:
            self._looks[place] = None
        if outcome.failure and place in self._postponed:
            self._context.emit(Postponed(request, outcome.failure))
        else:
            self._context.emit(Finished(request, outcome))
        if outcome.failure:
            self._budget.count(outcome)
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

    def _second_pass(self) -> None:
        """Try what was postponed once more, one image at a time."""
        if not self._postponed:
            return
        with_one_thread = ThreadPoolExecutor(1, thread_name_prefix="again")
        try:
            # Engines tidy up for a moment after what failed last.
            pause = with_one_thread.submit(self._cancel.sleep, self._retry.delay)
            self._wait([pause, *(with_one_thread.submit(self._pull_again, place) for place in sorted(self._postponed))])
        finally:
            with_one_thread.shutdown(wait=False, cancel_futures=True)

    def _pull_again(self, place: int) -> None:
        outcome = self._postponed[place].run(replace(self._retry, retries=0))
        if outcome.status is not Status.CANCELLED:  # then the reason of the first pass says more
            self._settle(place, outcome)
            self._budget.recount(outcome)

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
        """Wait for all; cancel the run at its deadline. What is in flight then gets a moment to break off."""
        over, ends, deadline = Event(), self._context.ends, self._context.settings.deadline or 0
        watcher = Thread(target=_tell_when_done, args=(futures, over), name="wait", daemon=True)
        watcher.start()
        with self._cancel.hook(over.set):
            if not over.wait(None if ends is None else max(0.0, ends - monotonic())):
                self._cancel.cancel(f"the deadline of {format_seconds(deadline)} has passed")
        wait(futures, timeout=_GRACE, return_when=ALL_COMPLETED)


def _tell_when_done(futures: Sequence[Future[Any]], over: Event) -> None:
    wait(futures, return_when=ALL_COMPLETED)
    over.set()


def _may_pass(why: Failure, status: Status) -> bool:
    return status is Status.FAILED and why.retryable and why.until is None
