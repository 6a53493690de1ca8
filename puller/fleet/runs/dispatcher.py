"""Which host of a run gets its tasks, and when: waves, hosts that are offline, lost tasks, the end."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from secrets import token_hex
from time import monotonic
from typing import NamedTuple, TypeVar

from puller.fleet.queue.broker import Backlog, Broker, BrokerError
from puller.fleet.queue.messages import SIGN_SECONDS, PullTask
from puller.fleet.runs import steps
from puller.fleet.runs.model import MOST_ATTEMPTS, DueTask, RunRecord, RunState
from puller.fleet.runs.store import Store
from puller.fleet.waves import Waves
from puller.model.hosts import HostState
from puller.text import clean, counted

T = TypeVar("T")
_REST_SECONDS = 5.0
"""Between two looks at a run of which nothing has changed: hosts may be offline, and it may expire."""
_HELD_SECONDS = 15.0
"""For this long others leave a run alone after a controller that was killed in a step."""
_SLICE_SECONDS = 5.0
"""For this long a step talks to the broker: the next one goes on, and results are recorded between them."""
_FAILING_SECONDS = 20.0
"""Questions about hosts fail for this long together if it is the broker that does not answer."""
_NOBODY = Backlog(0, 0)
_CHUNK = 50
"""Hosts whose tasks are published before the store is told: after a crash they are published again."""


class Patience(NamedTuple):
    """When a host is looked at, in seconds."""

    check: float = 30.0
    """Seconds without a result after which its queue is looked at."""
    lost: float = 3 * SIGN_SECONDS
    """Seconds without a result or a sign after which its tasks are lost, if it has a worker and an empty queue."""


class Dispatcher:
    """Takes runs a step further; all that it knows is in the store, so another one can go on.

    Two may work at the same time: what both publish has the same attempt, and is recorded once.
    """

    def __init__(
        self, store: Store, broker: Broker, *, say: Callable[[str], object], patience: Patience | None = None
    ) -> None:
        """`say` is told in a line what happens."""
        self._store, self._broker, self._say, self._patience = store, broker, say, patience or Patience()
        self._holder = token_hex(8)
        self._waves: dict[str, tuple[int, Waves]] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        self._until = self._failing = 0.0
        self._began: float | None = None
        self._told: set[str] = set()
        self.lost = self.published = 0
        """Tasks since the start."""

    def step(self, run: RunRecord, now: float) -> None:
        """Do what is due: record which hosts have ended, let others begin, and publish their tasks."""
        self._began = now if self._began is None else self._began
        version, at = self._seen.get(run.name, (-1, 0.0))
        if version == run.version and 0 <= now - at < _REST_SECONDS:
            return
        if not steps.hold(self._store, run.name, self._holder, now, _HELD_SECONDS):
            return
        try:
            self._seen[run.name] = run.version, now
            self._go(self._store.run(run.name), now)
        finally:
            steps.release(self._store, run.name, self._holder)

    def _go(self, run: RunRecord, now: float) -> None:
        self._until, self._failing = monotonic() + _SLICE_SECONDS, 0.0
        if run.withdraw and not self._withdraw(run):
            return
        for name, state in steps.settle(self._store, run.name, now):
            self._say(f"{run.name}: {clean(name)}: {state.value.replace('_', ' ')}")
        waves = self._replayed(run)
        if waves.halted and not run.halted:
            steps.halt(self._store, run.name, waves.halted)
            self._say(f"{run.name}: halted: {clean(waves.halted)}")
            return
        if run.state is not RunState.RUNNING:
            return
        if now >= run.expires:
            self._expire(run, now)
            return
        self._begin(run, waves, now)
        held = bool(waves.halted) or not waves.number
        self._publish(run, steps.due(self._store, run.name, deferred=not held), now)
        self._look(run, now)
        if self._over(run, waves):
            steps.finish(self._store, run.name, now)
            self._say(f"{run.name}: finished")

    def _ask(self, host: str, question: Callable[[], T], otherwise: T) -> T:
        """Ask the broker about one host; a host that has no queue must not keep the tasks of others back.

        Raises BrokerError if it seems to be the broker that does not answer.
        """
        began = monotonic()
        try:
            return question()
        except BrokerError as error:
            self._failing += monotonic() - began
            if self._failing > _FAILING_SECONDS:
                raise
            if host not in self._told:
                self._told.add(host)
                self._say(f"{clean(host)}: {error}")
            return otherwise

    def _withdraw(self, run: RunRecord) -> bool:
        """Take tasks back that nobody has begun; returns whether that is done."""
        hosts, done, removed = steps.queued_hosts(self._store, run.name), list[str](), 0
        while hosts and monotonic() < self._until:
            done.append(host := hosts.pop())
            removed += self._ask(host, partial(self._broker.purge, run.name, [host]), 0)
        steps.withdrawn(self._store, run.name, done, all_=not hosts)
        self._say(f"{run.name}: {counted(removed, 'task')} taken back")
        return not hosts

    def _replayed(self, run: RunRecord) -> Waves:
        """Return the waves as the decisions in the store left them."""
        decided = steps.decisions_of(self._store, run.name)
        number, waves = self._waves.get(run.name) or (0, self._new(run))
        for host, state in decided[number:]:
            if host is None:
                waves.go_on()
            elif state is not None:
                waves.ended(host, state)
            elif (begun := waves.take()) != host:  # another version decided otherwise
                self._say(f"{run.name}: {clean(host)} began where {begun and clean(begun)} should have")
        self._waves[run.name] = len(decided), waves
        return waves

    def _new(self, run: RunRecord) -> Waves:
        names = [host.name for host in self._store.hosts(run.name)]
        options = run.options
        limit, strict = options.max_fail, options.strict
        return Waves(names, canaries=options.canaries, sizes=options.waves, max_fail=limit, strict=strict)

    def _begin(self, run: RunRecord, waves: Waves, now: float) -> None:
        begun: dict[str, int] = {}
        while name := waves.take():
            begun[name] = waves.number
        if not begun:
            return
        number, _ = self._waves[run.name]
        del self._waves[run.name]  # valid again when the decisions are in the store
        steps.begin(self._store, run.name, begun, number + 1, now)
        self._waves[run.name] = number + len(begun), waves
        wave = f"wave {waves.number}" if waves.number else "canaries"
        self._say(f"{run.name}: {wave}: {counted(len(begun), 'host')}")

    def _publish(self, run: RunRecord, due: Iterable[DueTask], now: float) -> None:
        """Publish tasks. A host without a worker is deferred: its queue keeps the tasks."""
        images, policy = self._store.images(run.name), run.options.policy
        looked: dict[str, HostState] = {}
        sent: list[str] = []
        canary = not self._waves[run.name][1].number
        for (host, before), tasks in groupby(due, key=lambda task: (task.host, task.state)):
            if monotonic() > self._until:
                break
            online = self._ask(host, partial(self._broker.backlog, host), _NOBODY).consumers > 0
            state = HostState.RUNNING if online else HostState.DEFERRED
            if state is not before:
                looked[host] = state
            if online or not canary:  # a canary that is offline proves nothing: it gets its tasks with the others
                each = [
                    PullTask(
                        run.name, host, images[at].reference, images[at].platform, attempt, run.expires,
                        images[at].policy(policy),
                    )
                    for _, _, at, attempt in tasks
                ]  # fmt: skip
                if self._ask(host, partial(self._published, host, each), otherwise=False):
                    sent.append(host)
            if len(sent) >= _CHUNK:
                steps.sent(self._store, run.name, sent, now)
                sent = []
        if sent:
            steps.sent(self._store, run.name, sent, now)
        if looked:
            steps.mark(self._store, run.name, looked, now)

    def _published(self, host: str, tasks: Sequence[PullTask]) -> bool:
        self._broker.publish(host, tasks)
        self.published += len(tasks)
        return True

    def _look(self, run: RunRecord, now: float) -> None:
        """Look at the queues of hosts that were not heard for long.

        Nothing is lost before this object has listened for that long: results may wait that no controller has read.
        """
        quiet = steps.quiet_hosts(self._store, run.name, now - self._patience.check)
        looked: dict[str, HostState] = {}
        waiting = set[str]()
        late = now - self._patience.lost
        listened = self._began is not None and self._began <= late
        for host, heard in quiet.items():
            if monotonic() > self._until:
                break
            messages, consumers = self._ask(host, partial(self._broker.backlog, host), _NOBODY)
            looked[host] = HostState.RUNNING if consumers else HostState.DEFERRED
            if messages or not consumers:
                waiting.add(host)
            elif listened and heard < late:
                lost = steps.lose(self._store, run.name, host, late, MOST_ATTEMPTS, now)
                self.lost += lost
                if lost:
                    self._say(f"{run.name}: {clean(host)}: {counted(lost, 'task')} lost")
        if looked:
            steps.mark(self._store, run.name, looked, now, waiting)

    def _expire(self, run: RunRecord, now: float) -> None:
        number = steps.expire(self._store, run.name, now)
        steps.settle(self._store, run.name, now)
        steps.finish(self._store, run.name, now)
        self._say(f"{run.name}: expired: {counted(number, 'pull')} given up")

    def _over(self, run: RunRecord, waves: Waves) -> bool:
        """Whether every host that began has ended, and none will begin; offline ones are waited for."""
        states = self._store.counts(run.name).hosts
        open_ = states.get(HostState.RUNNING, 0) + states.get(HostState.DEFERRED, 0)
        return waves.over and (bool(waves.halted) or not open_) and not states.get(HostState.RUNNING)
