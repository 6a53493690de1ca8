"""Results of hosts, checked and written to the store; the broker forgets them when they are written."""

from collections.abc import Callable, Mapping
from json import dumps
from time import time
from typing import NamedTuple

from puller.errors import UsageError
from puller.failure import Failure
from puller.fleet.queue.broker import Delivery
from puller.fleet.queue.messages import TaskResult
from puller.fleet.runs.model import Ended, RunImage, RunRecord
from puller.fleet.runs.steps import record
from puller.fleet.runs.store import Store
from puller.model import PullOutcome, Status
from puller.report.json import image_of
from puller.text import clean

BATCH = 50
"""Results that are written together. The broker must deliver that many before one of them is acknowledged."""
_LARGEST = 64 * 1024
"""Characters of a result: one with a hundred attempts has less."""
_MOST_ATTEMPT = 1000
_LONGEST = 1000
"""Characters of a message or an advice."""


class _KnownRun(NamedTuple):
    """What does not change of a run: to recognise its results."""

    record: RunRecord
    hosts: frozenset[str]
    images: Mapping[tuple[str, str | None], RunImage]
    """By reference and platform."""


class Recorder:
    """Collects results and writes them in batches."""

    def __init__(self, store: Store, *, refused: Callable[[str], object], clock: Callable[[], float] = time) -> None:
        """`refused` is told in a line about each message that is not recorded."""
        self._store, self._refused, self._clock = store, refused, clock
        self._known: dict[str, _KnownRun | None] = {}
        self._batch: list[Ended] = []
        self._acks: list[Callable[[], None]] = []
        self.recorded = self.rejected = 0
        """Results written, and messages refused, since the start."""

    def add(self, delivery: Delivery) -> None:
        """Take a message; a full batch is written. Raises OutputError if the store cannot be written."""
        if delivery.result is None and not delivery.problem:
            return
        found = self._checked(delivery)
        if isinstance(found, str):
            self.rejected += 1
            self._refused(clean(f"a message of {delivery.sender or 'nobody'} was refused: {found}", 400))
        else:
            self._batch.append(found)
        self._acks.append(delivery.ack)
        if len(self._acks) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was collected, and acknowledge it after that."""
        record(self._store, self._batch)
        self.recorded += sum(each.outcome.status is not Status.PENDING for each in self._batch)
        acks, self._acks, self._batch = self._acks, [], []
        for ack in acks:
            ack()

    def forget_unknown(self) -> None:
        """Look again for runs that were not in the store."""
        self._known = {name: run for name, run in self._known.items() if run}

    def _checked(self, delivery: Delivery) -> Ended | str:
        """Return the result, or why it is refused."""
        result = delivery.result
        if result is None:
            return delivery.problem
        if delivery.sender != result.host or not 1 <= result.attempt <= _MOST_ATTEMPT:
            return f"it is about attempt {result.attempt} of the host {result.host}"
        run = self._run(result.run)
        if run is None or result.host not in run.hosts:
            return f"the store has no run {result.run} with this host"
        platform = result.outcome.get("platform")
        image = run.images.get((result.reference, platform if isinstance(platform, str) else None))
        if image is None:
            return f"run {result.run} has no image {result.reference}"
        try:
            outcome = _outcome(result, image)
        except (ValueError, UsageError, RecursionError) as error:
            return "the result is nested too deeply" if isinstance(error, RecursionError) else str(error)
        now = self._clock()
        outcome = outcome._replace(began=max(0.0, now - run.record.created - outcome.seconds))
        return Ended(result.run, result.host, image.position, result.attempt, now, outcome)

    def _run(self, name: str) -> _KnownRun | None:
        if name not in self._known:
            try:
                record, images = self._store.run(name), self._store.images(name)
            except UsageError:
                self._known[name] = None
            else:
                hosts = frozenset(host.name for host in self._store.hosts(name))
                self._known[name] = _KnownRun(record, hosts, {(each.reference, each.platform): each for each in images})
        return self._known[name]


def _outcome(result: TaskResult, image: RunImage) -> PullOutcome:
    """Read the outcome of an image; its words are made safe, and its names are those of the list."""
    if len(dumps(result.outcome)) > _LARGEST:
        raise ValueError(f"the result is longer than {_LARGEST} characters")
    outcome = image_of(result.outcome)
    request = image.request
    return outcome._replace(
        reference=request.reference.canonical,
        requested=request.requested,
        platform=request.platform,
        host=result.host,
        failure=_safe(outcome.failure),
        warning=clean(outcome.warning, _LONGEST),
        attempts=tuple(each._replace(failure=_safe(each.failure)) for each in outcome.attempts),
    )


def _safe(failure: Failure | None) -> Failure | None:
    if failure is None:
        return None
    return failure._replace(message=clean(failure.message, _LONGEST), advice=clean(failure.advice, _LONGEST))
