"""What the controller needs of a broker; `puller.fleet.queue.rabbitmq` fulfils it."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from puller.errors import ExitCode, PullerError
from puller.fleet.queue.messages import PullTask, TaskResult


class BrokerError(PullerError):
    """The broker does not answer, or refuses what it is asked."""

    exit_code = ExitCode.TRY_AGAIN


class Delivery(NamedTuple):
    """A message from a host; without `result` and `problem` there was none for a second."""

    result: TaskResult | None
    sender: str
    """The host that sent it, by the word of the broker."""
    problem: str
    """Why the message is not a result of its sender; else empty. It must be acknowledged too, or it comes again."""
    ack: Callable[[], None]
    """Tells the broker that the message is dealt with; one that is not comes again."""


class Backlog(NamedTuple):
    """The tasks of a host that have not begun, and its workers; a host without a worker is offline."""

    messages: int
    consumers: int


class Broker(Protocol):
    """Carries tasks to hosts and their results back. All methods raise BrokerError."""

    def publish(self, host: str, tasks: Sequence[PullTask]) -> None:
        """Queue tasks for a host; on return the broker has written all of them to its disk."""

    def results(self) -> Iterator[Delivery]:
        """Yield results as they come, without an end, and a Delivery of nothing each second."""

    def backlog(self, host: str) -> Backlog:
        """Return how much waits for a host, and whether it is online."""

    def purge(self, run: str, hosts: Sequence[str] = ()) -> int:
        """Remove the tasks of a run that have not begun from the queues of hosts; return how many there were.

        Without `hosts`, those that this object published to.
        """

    def close(self) -> None:
        """Close the connections; results that were not acknowledged come again."""
