"""The values of a run by a broker, as the store keeps it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from puller.fleet.waves import WaveSize
from puller.model import SUCCESSES, PullOutcome, PullRequest, RunDetails, Status
from puller.model.hosts import HostState
from puller.settings import FailureLimit, Policy

SECONDS_TO_EXPIRE = 24 * 3600.0
MOST_ATTEMPTS = 3
"""How often a task is published that its worker takes and says nothing about."""


class RunState(StrEnum):
    """What a run does."""

    RUNNING = "running"
    PAUSED = "paused"
    """No task is published; results of what runs are recorded."""
    CANCELLED = "cancelled"
    FINISHED = "finished"
    """Every host that began has ended, and no other will begin."""


class RunOptions(NamedTuple):
    """How a run goes over its hosts."""

    canaries: int = 0
    waves: tuple[WaveSize, ...] = ()
    max_fail: FailureLimit | None = None
    policy: Policy = Policy.NEWER
    strict: bool = False
    """Whether a host that is offline counts as failed."""

    def document(self) -> dict[str, Any]:
        """Return the options as JSON."""
        return {
            "canaries": self.canaries,
            "waves": [[*size] for size in self.waves],
            "max_fail": [*self.max_fail] if self.max_fail else None,
            "policy": self.policy,
            "strict": self.strict,
        }

    @classmethod
    def read(cls, node: dict[str, Any]) -> "RunOptions":
        """Read what `document` returned."""
        limit, waves = node["max_fail"], tuple(WaveSize(*size) for size in node["waves"])
        limit = limit and FailureLimit(*limit)
        return cls(node["canaries"], waves, limit, Policy(node["policy"]), node["strict"])


class RunRecord(NamedTuple):
    """A run without its hosts and images."""

    name: str
    created: float
    """Seconds since 1970."""
    expires: float
    """When tasks that nobody has begun are given up, in seconds since 1970."""
    ended: float | None
    state: RunState
    halted: str
    """Why no further host begins; empty while one may."""
    withdraw: bool
    """Whether tasks in the queues have to be removed: it was paused, cancelled or halted."""
    version: int
    """Grows with each change."""
    options: RunOptions
    details: RunDetails
    rejected: tuple[PullOutcome, ...] = ()
    """Invalid lines of the lists, which were skipped."""

    def removable(self, now: float) -> bool:
        """Whether the run is over, and no task of it is in a queue that a host would still begin."""
        over = self.state in (RunState.FINISHED, RunState.CANCELLED)
        return over and (not self.withdraw or self.expires <= now)

    @property
    def state_word(self) -> str:
        return "halted" if self.halted else self.state.value

    @property
    def started(self) -> datetime:
        return datetime.fromtimestamp(self.created, UTC)


class RunHost(NamedTuple):
    """A host of a run."""

    name: str
    url: str
    state: HostState
    wave: int | None
    began: float | None
    """Seconds since 1970, like the next two."""
    ended: float | None
    heard: float | None
    """When a result or a sign of it was recorded, or tasks waited in its queue."""
    checked: float | None
    """When its queue was looked at."""


class RunImage(NamedTuple):
    """An image of a run, by the same digest on all hosts."""

    position: int
    reference: str
    """With a digest, as tasks have it."""
    request: PullRequest
    """As the list has it."""

    @property
    def platform(self) -> str | None:
        return str(self.request.platform) if self.request.platform else None

    def policy(self, policy: Policy) -> Policy:
        """Return the policy of its tasks in a run with a policy.

        A digest of the list is the name itself: then `missing` is `newer`, which asks for the digest.
        """
        if policy is Policy.NEWER and self.request.if_missing:
            policy = Policy.MISSING
        return Policy.NEWER if policy is Policy.MISSING and self.request.reference.digest else policy


class DueTask(NamedTuple):
    """A task that is to be published."""

    host: str
    state: HostState
    image: int
    attempt: int


class Ended(NamedTuple):
    """A valid result of a task, or what stands for one."""

    run: str
    host: str
    image: int
    attempt: int
    at: float
    outcome: PullOutcome


class RunCounts(NamedTuple):
    """How far a run is."""

    hosts: dict[HostState, int]
    images: dict[str, int]
    """Pulls by status; those that were given up when the run expired are `expired`."""

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """How many hosts and pulls are done, of all, how many pulls failed, and how many hosts are offline."""
        hosts, images = self
        return (
            f"{hosts.get(HostState.DONE, 0)}/{sum(hosts.values())}",
            f"{sum(images.get(status, 0) for status in SUCCESSES)}/{sum(images.values())}",
            str(images.get(Status.FAILED, 0)),
            str(hosts.get(HostState.DEFERRED, 0) + hosts.get(HostState.UNREACHABLE, 0)),
        )
