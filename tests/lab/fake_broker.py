"""A broker in memory, with hosts whose workers do at once what a script says."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

from puller.errors import FailureKind
from puller.failure import failure
from puller.fleet.queue.broker import Backlog, BrokerError, Delivery
from puller.fleet.queue.messages import PullTask, TaskResult
from puller.image.reference import ImageReference, Platform
from puller.model import PullOutcome, PullRequest, Status
from puller.report.json import image_document

Pull = Callable[[PullTask], Status]
"""What comes of a task."""


def good(_task: PullTask) -> Status:
    """Pull everything."""
    return Status.PULLED


def result_of(task: PullTask, status: Status = Status.PULLED) -> TaskResult:
    """Make the result that a worker sends."""
    reference = ImageReference.parse(task.reference)
    request = PullRequest(reference, Platform.parse(task.platform) if task.platform else None, (task.reference,))
    why = failure(FailureKind.NOT_FOUND, "manifest unknown") if status is Status.FAILED else None
    outcome = PullOutcome.of(request, status, reference.digest if not why else None, why, seconds=2.0)
    return TaskResult(task.run, task.host, task.reference, task.attempt, image_document(outcome))


class FakeBroker:
    """Queues of hosts, of which those that are online are worked off when `results` has nothing left."""

    def __init__(self, online: Sequence[str] = (), pull: Pull = good) -> None:
        self.online, self.pull = set(online), pull
        self.queues: dict[str, deque[PullTask]] = {}
        self.arrived = deque[tuple[TaskResult | None, str, str]]()
        """Results, senders and problems that are not delivered yet."""
        self.published: list[PullTask] = []
        self.unknown: set[str] = set()
        """Hosts without a queue."""
        self.acknowledged = 0
        self.closed = 0
        self.ticks: int | None = None
        """Heartbeats until `results` ends; None for never."""
        self.looked: Counter[str] = Counter()
        self.on_tick: Callable[[], object] = lambda: None

    def _check(self, host: str) -> None:
        if host in self.unknown:
            raise BrokerError(f"there is no queue for {host}")

    def publish(self, host: str, tasks: Sequence[PullTask]) -> None:
        self._check(host)
        self.queues.setdefault(host, deque()).extend(tasks)
        self.published += tasks

    def results(self) -> Iterator[Delivery]:
        while True:
            while self.arrived:
                result, sender, problem = self.arrived.popleft()
                yield Delivery(result, sender, problem, self._ack)
            self.on_tick()
            yield Delivery(None, "", "", self._ack_nothing)
            if self.ticks is not None:
                self.ticks -= 1
                if self.ticks <= 0:
                    return
            self.work()

    def work(self) -> None:
        """Let the workers that are online take all their tasks."""
        for host in sorted(self.online):
            queue = self.queues.get(host, deque())
            while queue:
                task = queue.popleft()
                self.arrived.append((result_of(task, self.pull(task)), host, ""))

    def backlog(self, host: str) -> Backlog:
        self._check(host)
        self.looked[host] += 1
        return Backlog(len(self.queues.get(host, ())), int(host in self.online))

    def purge(self, run: str, hosts: Sequence[str] = ()) -> int:
        before = sum(map(len, self.queues.values()))
        for host in hosts or [*self.queues]:
            self._check(host)
            self.queues[host] = deque(task for task in self.queues.get(host, ()) if task.run != run)
        return before - sum(map(len, self.queues.values()))

    def close(self) -> None:
        self.closed += 1

    def _ack(self) -> None:
        self.acknowledged += 1

    def _ack_nothing(self) -> None:
        """Acknowledge a heartbeat."""
