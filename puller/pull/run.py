"""A run over a list: submit every request to the pool of its registry, wait for all, return one outcome for each."""

from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, Future, wait
from itertools import count
from threading import Event, Lock
from typing import Any

from puller.engine.interface import ImageStore
from puller.errors import EngineError, FailureClass, FailureKind, ListError
from puller.events import Finished, Postponed, RunStarted
from puller.failure import Failure, failure, failure_of
from puller.model import PullOutcome, PullRequest, Status
from puller.pull.context import DiskCheck, RunContext
from puller.pull.image import ImagePull
from puller.pull.up_to_date import UpToDateCheck
from puller.settings import Policy
from puller.system.threads import Threads
from puller.text import format_seconds

_GRACE = 1.5  # seconds to wait for pulls in flight after the run is cancelled


class Run:
    """One run: a concurrent first pass over all images, and a second pass over transient failures, one by one."""

    def __init__(
        self,
        requests: Sequence[PullRequest],
        context: RunContext,
        check: UpToDateCheck,
        rejected: int = 0,
        disk_check: DiskCheck | None = None,
    ) -> None:
        self.requests, self.context, self.check = requests, context, check
        self.rejected = rejected  # invalid lines of the lists, which count as failed images
        self.disk_check = disk_check
        self._checks: list[Future[PullOutcome | None] | None] = []
        """One for each image if the policy needs checks; None once its result was used, to free memory."""
        self._futures: list[Future[PullOutcome]] = []
        self._postponed: dict[int, ImagePull] = {}
        """Images with a transient failure, by their place in the list."""
        self._final: dict[int, PullOutcome] = {}  # the final outcomes of postponed images
        self._failed = 0
        self._lock = Lock()

    def outcomes(self) -> list[PullOutcome]:
        """Run, and return one outcome for each request, in order."""
        self.context.emit(RunStarted(len(self.requests), self.context.engine.engine))
        pools, pairs = self.context.pools, [(each.reference.registry, each) for each in self.requests]
        sizes = self.context.sizes
        sizes.watch(self.requests, self._absent)
        try:
            if self.context.settings.policy is not Policy.ALWAYS:
                self._checks = [pools.checks.submit(name, self.check.look, request) for name, request in pairs]
            self._futures = [
                pools.pulls.submit(name, self._image, place, request) for place, (name, request) in enumerate(pairs)
            ]
            with self.context.cancel.hook(sizes.close):
                self._wait(self._futures)
                self._second_pass()
        finally:
            pools.close()
            sizes.close()
        for place in self._postponed.keys() - self._final.keys():
            self._finish(place, self._first_outcome(place))
        outcomes = [self._final.get(place) or self._first_outcome(place) for place in range(len(self.requests))]
        both = zip(self.requests, outcomes, strict=True)
        outcomes = [sizes.complete(request, self.check.with_kept(request, each)) for request, each in both]
        sizes.tell(last=True)
        return outcomes

    def _image(self, place: int, request: PullRequest) -> PullOutcome:
        """Wait for the check of an image, which was submitted first, and pull if the image is not up to date."""
        try:
            check = self._checks[place] if self._checks else None
            outcome = check.result() if check else None
        except CancelledError:  # the run ended before the check started
            return self._cancelled(request)
        if outcome is None:
            if self.disk_check:
                self.disk_check.refusal(len(self.requests), self._absent, self.context.cancel)
            if self.context.cancel.requested:  # no `Started` event was emitted, so no `Finished` event is due
                return self._cancelled(request)
            pull, retry = ImagePull(request, self.context), self.context.settings.retry
            outcome = self.check.with_kept(request, pull.run(retry))
            if outcome.status is Status.CANCELLED:
                outcome = outcome._replace(failure=self._why_cancelled())
            why = outcome.failure
            if retry.second_pass and outcome.status is Status.FAILED and why and why.retryable and not why.until:
                self._postponed[place] = pull
        if check:
            self._checks[place] = None
        postponed = outcome.failure if place in self._postponed else None
        if not postponed:
            outcome = self.context.sizes.finish(request, outcome)
        self.context.emit(Postponed(request, postponed) if postponed else Finished(request, outcome))
        if outcome.failure:
            self._count(outcome)
        return outcome

    def _absent(self, seconds: float) -> tuple[Sequence[PullRequest], bool]:
        """See `Absent`. An image whose check is no longer kept has its outcome."""
        if not self._checks:
            return self.requests, True
        checks = [*self._checks]
        wait([check for check in checks if check], seconds)
        done = [check is None or check.done() for check in checks]
        return [each for place, each in enumerate(self.requests) if done[place] and self._is_absent(place)], all(done)

    def _is_absent(self, place: int) -> bool:
        if check := self._checks[place]:
            return not (check.cancelled() or check.exception() or check.result())
        return bool(self._first_outcome(place).attempts)

    def _second_pass(self) -> None:
        """Try postponed images once more, one at a time."""
        if not self._postponed:
            return
        threads = Threads("again", 1, 1)
        try:
            # Engines need a moment to clean up after a failed pull.
            pause = threads.submit("", self.context.cancel.sleep, self.context.settings.retry.delay)
            self._wait([pause, *(threads.submit("", self._pull_again, place) for place in sorted(self._postponed))])
        finally:
            threads.close()

    def _pull_again(self, place: int) -> None:
        outcome = self._postponed[place].run(self.context.settings.retry._replace(retries=0))
        outcome = self.check.with_kept(self.requests[place], outcome)
        if outcome.status is not Status.CANCELLED:  # else the failure of the first pass is reported
            self._finish(place, outcome)
            self._count(outcome, again=True)

    def _finish(self, place: int, outcome: PullOutcome) -> None:
        self._final[place] = outcome = self.context.sizes.finish(self.requests[place], outcome)
        self.context.emit(Finished(self.requests[place], outcome))

    def _count(self, outcome: PullOutcome, *, again: bool = False) -> None:
        """Count a failed image, unless it was counted; cancel the run if too many failed, or the host itself has."""
        limit, total = self.context.settings.max_fail, self.rejected + len(self.requests)
        why = outcome.failure if outcome.status is Status.FAILED else None
        with self._lock:
            self._failed += bool(why) - again
            failed = self.rejected + self._failed
        if why and why.failure_class is FailureClass.HOST_FATAL:
            self.context.cancel.cancel(why.message)
        elif why and limit and limit.exceeded(failed, total):
            self.context.cancel.cancel(f"{failed} of {total} images failed; the last was {outcome}")

    def _first_outcome(self, place: int) -> PullOutcome:
        request = self.requests[place]
        future = self._futures[place] if place < len(self._futures) else None
        if future is None or not future.done() or future.cancelled():
            return self._cancelled(request)
        if error := future.exception():
            return PullOutcome.of(request, Status.FAILED, failure=failure_of(error))
        return future.result()

    def _cancelled(self, request: PullRequest) -> PullOutcome:
        """Return the outcome of an image that was never tried."""
        return PullOutcome.of(request, Status.CANCELLED, failure=self._why_cancelled())

    def _why_cancelled(self) -> Failure:
        refused = self.disk_check.why if self.disk_check else None
        return refused or failure(FailureKind.CANCELLED, self.context.cancel.reason)

    def _wait(self, futures: Sequence[Future[Any]]) -> None:
        """Wait for all futures; cancel the run at its deadline, and wait a moment for the pulls in flight to stop."""
        ended, over, number, context = Event(), Event(), count(1), self.context

        def one_ended(_: object) -> None:
            if next(number) >= len(futures):
                over.set()
                ended.set()

        for future in futures:
            future.add_done_callback(one_ended)
        with context.cancel.hook(over.set):
            while futures and not over.wait(context.left):
                if (context.left or 0.0) <= 0:  # else the process was stopped during the wait
                    deadline = format_seconds(context.settings.deadline or 0)
                    context.cancel.cancel(f"the deadline of {deadline} has passed")
                    break
        ended.wait(_GRACE if futures else 0)


def check_platforms(requests: Iterable[PullRequest], store: ImageStore) -> None:
    """Raise ListError with a line for each tag requested for several platforms, if the engine keeps one for each tag.

    An engine that does not describe itself is taken to keep several.
    """
    groups: dict[tuple[str, str | None], list[PullRequest]] = {}
    for each in requests:
        groups.setdefault((each.reference.name, each.reference.tag or each.reference.digest), []).append(each)
    several = [group for group in groups.values() if len({each.platform for each in group}) > 1]
    try:
        if not several or store.facts().keeps_platforms:
            return
    except EngineError:
        return
    own, problems = store.facts().platform or "the engine's own platform", []
    for group in several:
        *others, last = dict.fromkeys(str(each.platform or own) for each in group)
        if others:
            problems.append(
                f"{group[0].reference.text} is requested for {', '.join(others)} and {last}, and this engine keeps one "
                "platform of a tag: leave one of them out, or use an engine with the containerd image store"
            )
    if problems:
        raise ListError(problems)
