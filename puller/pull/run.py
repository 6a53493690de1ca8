"""A run over a list: submit every request to the pool of its registry, wait for all, return one outcome for each."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import count
from threading import Event, Lock
from typing import Any

from puller.engine.interface import ImageStore
from puller.errors import EngineError, FailureClass, FailureKind, ListError
from puller.events import Finished, Postponed, RunStarted
from puller.failure import Failure, failure, failure_of
from puller.model import PullOutcome, PullRequest, Status
from puller.pull.context import RunContext
from puller.pull.disk_check import DiskCheck
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
        """`rejected` invalid lines of the lists count as failed images."""
        self.requests, self.context, self.check = requests, context, check
        self.rejected, self.disk_check = rejected, disk_check
        self._ends: list[Future[PullOutcome]] = []
        """The outcomes of the first pass, in list order."""
        self._to_pull: list[int] = []
        """The places in the list of the images that must be pulled, as far as known."""
        self._unknown = 0  # images whose check has not ended
        self._known = Event()  # set when all checks have ended
        self._postponed: dict[int, ImagePull] = {}
        """Images with a transient failure, by their place in the list."""
        self._final: dict[int, PullOutcome] = {}  # the final outcomes of postponed images
        self._failed = 0
        self._lock = Lock()

    def outcomes(self) -> list[PullOutcome]:
        """Run, and return one outcome for each request, in order."""
        context, sizes = self.context, self.context.sizes
        context.emit(RunStarted(len(self.requests), context.engine.engine))
        sizes.watch(self.requests, self._absent)
        self._ends = [Future() for _ in self.requests]
        try:
            with context.cancel.hook(sizes.close):
                if context.settings.policy is not Policy.ALWAYS:
                    self._wait([context.pools.checks.submit("", self.check.list_images)])
                if not context.cancel.requested:
                    self._begin()
                    self._wait(self._ends)
                    self._second_pass()
        finally:
            context.pools.close()
            sizes.close()
        for place in self._postponed.keys() - self._final.keys():
            self._finish(place, self._first_outcome(place))
        outcomes = [self._final.get(place) or self._first_outcome(place) for place in range(len(self.requests))]
        both = zip(self.requests, outcomes, strict=True)
        outcomes = [sizes.complete(request, self.check.with_kept(request, each)) for request, each in both]
        sizes.tell(last=True)
        return outcomes

    def _begin(self) -> None:
        """Submit the pulls of absent images, and then the checks of the others, whose pulls follow where needed."""
        always, checks = self.context.settings.policy is Policy.ALWAYS, list[int]()
        for place, request in enumerate(self.requests):
            if always or self.check.is_absent(request):
                self._submit_pull(place)
            else:
                checks.append(place)
        self._unknown = len(checks)
        if not checks:
            self._known.set()
        for place in checks:
            registry = self.requests[place].reference.registry
            check = self.context.pools.checks.submit(registry, self.check.look, self.requests[place])
            check.add_done_callback(partial(self._checked, place))

    def _submit_pull(self, place: int) -> None:
        self._to_pull.append(place)
        registry = self.requests[place].reference.registry
        pull = self.context.pools.pulls.submit(registry, self._image, place, self.requests[place])
        pull.add_done_callback(partial(self._ended, place))

    def _checked(self, place: int, check: Future[PullOutcome | None]) -> None:
        """Report the outcome of a check, or submit the pull of an image whose check had none."""
        if check.cancelled() or check.exception():
            self._ended(place, check)
        elif outcome := check.result():
            try:
                self._ends[place].set_result(self._settle(self.requests[place], outcome))
            except Exception as error:  # noqa: BLE001 - a future would only log it, and the run would wait for ever
                self._ends[place].set_exception(error)
        else:
            self._submit_pull(place)
        with self._lock:
            self._unknown -= 1
            if not self._unknown:
                self._known.set()

    def _ended(self, place: int, call: Future[Any]) -> None:
        if call.cancelled():  # the run ended before the call began
            self._ends[place].cancel()
        elif error := call.exception():
            self._ends[place].set_exception(error)
        else:
            self._ends[place].set_result(call.result())

    def _image(self, place: int, request: PullRequest) -> PullOutcome:
        """Pull an image once the disk check admits it."""
        if self.disk_check:
            self.disk_check.admit(self.requests, self.context.cancel)
        if self.context.cancel.requested:  # no `Started` event was emitted, so no `Finished` event is due
            return self._cancelled(request)
        pull, retry = ImagePull(request, self.context), self.context.settings.retry
        outcome = self.check.with_kept(request, pull.run(retry))
        if outcome.status is Status.CANCELLED:
            outcome = outcome._replace(failure=self._why_cancelled())
        why = outcome.failure
        if retry.second_pass and outcome.status is Status.FAILED and why and why.retryable and not why.until:
            self._postponed[place] = pull
            self.context.emit(Postponed(request, why))
            self._count(outcome)
            return outcome
        return self._settle(request, outcome)

    def _settle(self, request: PullRequest, outcome: PullOutcome) -> PullOutcome:
        """Report the outcome of an image's first pass."""
        outcome = self.context.sizes.finish(request, outcome)
        self.context.emit(Finished(request, outcome))
        if outcome.failure:
            self._count(outcome)
        return outcome

    def _absent(self, seconds: float) -> tuple[Sequence[PullRequest], bool]:
        """See `Absent`. While the disk check asks for sizes, nobody else does."""
        if self.disk_check and not self.disk_check.over(seconds):
            return (), False
        complete = self._known.wait(seconds)
        return [self.requests[place] for place in sorted(self._to_pull)], complete

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
        end = self._ends[place]
        if not end.done() or end.cancelled():
            return self._cancelled(self.requests[place])
        if error := end.exception():
            return PullOutcome.of(self.requests[place], Status.FAILED, failure=failure_of(error))
        return end.result()

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
