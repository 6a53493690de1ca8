"""One image: what it becomes, how often it was tried, and what observers hear of it."""

import threading

import pytest

from puller.cancellation import Cancellation
from puller.engine.interface import Engine, ProgressSink
from puller.errors import EngineError, FailureClass, FailureKind
from puller.events import Event, Phase, Progress, RetryScheduled, Started
from puller.failure import failure
from puller.model import EngineResult, PullOutcome, PullRequest, Status
from puller.pull.context import RunContext
from puller.pull.image import ImagePull
from puller.registry.resolver import Resolver
from puller.settings import RetryPolicy, Settings, Timeouts
from puller.system.clock import monotonic
from tests.lab.fakes import PULLED, UP_TO_DATE, FakeBackend, Result, until_cancelled
from tests.lab.samples import DIGEST, request

RESET = EngineError("read tcp 10.0.0.1:1->10.0.0.2:2: read: connection reset by peer")
MISSING = EngineError("manifest unknown", status=404)


class Scene:
    """A pull with everything around it."""

    def __init__(self, *results: Result, backend: Engine | None = None, retries: int = 3) -> None:
        self.fake = FakeBackend({"nginx:1.27": list(results)})
        self.cancel = Cancellation()
        self.events: list[Event] = []
        settings = Settings(retry=RetryPolicy(retries, delay=0.0), timeouts=Timeouts(attempt=7.0), jobs=1)
        self.context = RunContext(backend or self.fake, Resolver(), settings, self.events.append, self.cancel)

    def pull(self) -> PullOutcome:
        """Pull nginx."""
        return ImagePull(request(), self.context).run(self.context.settings.retry)

    @property
    def heard(self) -> list[str]:
        """The names of the events, in order."""
        return [type(event).__name__ for event in self.events]


@pytest.mark.parametrize(("result", "status"), [(PULLED, Status.PULLED), (UP_TO_DATE, Status.UP_TO_DATE)])
def test_what_the_engine_has_is_there(result: EngineResult, status: Status) -> None:
    """An image that was fetched and one that was there already are told apart, with their digest."""
    scene = Scene(result)
    outcome = scene.pull()
    assert (outcome.status, outcome.digest, outcome.failure, outcome.ok) == (status, DIGEST, None, True)
    assert outcome.reference == "docker.io/library/nginx:1.27"
    assert [attempt.failure for attempt in outcome.attempts] == [None]
    assert scene.heard == ["Started"]


def test_the_time_limit_reaches_the_backend() -> None:
    """`--timeout` is for each attempt, and the backend enforces it."""
    scene = Scene(PULLED)
    scene.pull()
    assert scene.fake.clocks == {Timeouts(attempt=7.0)}


def test_a_failure_that_passes_costs_an_attempt() -> None:
    """Every attempt is recorded with its failure, and observers hear them in order."""
    scene = Scene(RESET, RESET, PULLED)
    outcome = scene.pull()
    assert (outcome.status, outcome.failure) == (Status.PULLED, None)
    kinds = [attempt.failure and attempt.failure.kind for attempt in outcome.attempts]
    assert kinds == [FailureKind.CONNECTION_RESET, FailureKind.CONNECTION_RESET, None]
    assert scene.heard == ["Started", "RetryScheduled", "Started", "RetryScheduled", "Started"]
    assert [event.attempt for event in scene.events if isinstance(event, Started)] == [1, 2, 3]
    assert [event.attempt for event in scene.events if isinstance(event, RetryScheduled)] == [1, 2]
    starts = [attempt.started for attempt in outcome.attempts]
    assert starts == sorted(starts)
    assert outcome.seconds >= starts[-1] >= 0


def test_a_permanent_failure_is_tried_once() -> None:
    """A missing image is a value with kind, class, words and advice."""
    scene = Scene(MISSING)
    outcome = scene.pull()
    assert outcome.status is Status.FAILED
    assert outcome.failure == failure(FailureKind.NOT_FOUND, "manifest unknown")
    assert outcome.digest is None
    assert [attempt.failure for attempt in outcome.attempts] == [outcome.failure]
    assert scene.heard == ["Started"]


def test_only_our_layer_retries() -> None:
    """The backend is asked exactly retries + 1 times."""
    scene = Scene(RESET, retries=2)
    outcome = scene.pull()
    assert scene.fake.attempts == {"nginx:1.27": 3}
    assert (outcome.status, len(outcome.attempts)) == (Status.FAILED, 3)


def test_a_backend_that_knows_the_kind_is_believed() -> None:
    """A time limit of ours is a timeout, whatever its words look like."""
    outcome = Scene(EngineError("manifest unknown", kind=FailureKind.TIMEOUT), retries=0).pull()
    assert outcome.failure
    assert (outcome.failure.kind, outcome.failure.failure_class) == (FailureKind.TIMEOUT, FailureClass.TRANSIENT)


def test_an_error_of_ours_costs_one_image() -> None:
    """A fault of puller becomes a failed image that says so; nothing is raised and nothing is retried."""
    scene = Scene(ZeroDivisionError("oh no"))
    outcome = scene.pull()
    assert outcome.failure
    assert (outcome.status, outcome.failure.kind) == (Status.FAILED, FailureKind.INTERNAL)
    assert outcome.failure.message == "ZeroDivisionError: oh no"
    assert scene.fake.attempts == {"nginx:1.27": 1}
    assert scene.heard == ["Started"]


def test_a_pull_under_way_is_broken_off() -> None:
    """An engine that hangs is let go as soon as the run is stopped; the outcome says why."""
    scene = Scene(until_cancelled)
    threading.Timer(0.02, scene.cancel.cancel, ("too many failed",)).start()
    outcome = scene.pull()
    assert outcome.failure == failure(FailureKind.CANCELLED, "too many failed")
    assert (outcome.status, len(outcome.attempts)) == (Status.CANCELLED, 1)
    assert scene.heard == ["Started"]


def test_a_wait_for_the_next_attempt_is_broken_off() -> None:
    """Stopping during the wait ends the image at once, as cancelled and not as failed."""
    scene = Scene(RESET)

    def stop(event: Event) -> None:
        if isinstance(event, RetryScheduled):
            threading.Timer(0.01, scene.cancel.cancel, ("stop",)).start()

    scene.context.settings, scene.context.emit = Settings(retry=RetryPolicy(3, 1e6, longest=1e6)), stop
    outcome = scene.pull()
    assert (outcome.status, len(outcome.attempts)) == (Status.CANCELLED, 1)


def test_the_slot_is_free_while_an_image_waits() -> None:
    """An image that waits for its next attempt keeps no other image from its turn."""
    scene, free = Scene(RESET, PULLED, retries=1), []

    def look(event: Event) -> None:
        if isinstance(event, RetryScheduled):
            free.append(scene.context.pools.slots.acquire(blocking=False))
            scene.context.pools.slots.release()

    scene.context.emit = look
    scene.pull()
    assert free == [True]


class Chatty(FakeBackend):
    """A backend that tells how far it is."""

    def pull(
        self, request: PullRequest, *, cancel: Cancellation, clocks: Timeouts, progress: ProgressSink
    ) -> EngineResult:
        """Report one step."""
        progress(Progress(request, Phase.DOWNLOADING, 1, 2, 0, 1))
        return super().pull(request, cancel=cancel, clocks=clocks, progress=progress)


def test_progress_goes_through() -> None:
    """What the engine tells between start and end reaches the observers as it is."""
    scene = Scene(backend=Chatty())
    scene.pull()
    assert scene.heard == ["Started", "Progress"]
    assert scene.events[1] == Progress(request(), Phase.DOWNLOADING, 1, 2, 0, 1, counted=1)


def test_every_attempt_tells_its_phases_and_bytes() -> None:
    """The report knows what each attempt spent its time on, what it fetched, and when the image's turn came."""
    scene = Scene(backend=Chatty({"nginx:1.27": [RESET, PULLED]}))
    scene.context.began = monotonic() - 5
    outcome = scene.pull()
    assert [[span.phase for span in attempt.phases] for attempt in outcome.attempts] == [
        ["resolving", "downloading"]
    ] * 2
    assert ([attempt.bytes for attempt in outcome.attempts], outcome.bytes) == ([1, 1], 2)
    assert outcome.began >= 5
