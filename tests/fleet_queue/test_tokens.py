"""The tokens of registries at a real RabbitMQ."""

import threading

import pytest

from puller.cancellation import Cancellation
from puller.errors import CancelledError, EngineError
from puller.events import Event, RetryScheduled
from puller.fleet.queue.address import token_queue
from puller.fleet.queue.connection import open_connection
from puller.fleet.queue.rabbitmq import add_tokens
from puller.fleet.queue.tokens import HEARTBEAT, TokenLimits
from puller.model import EngineResult, Status
from puller.pull.session import PullSession
from puller.registry.resolver import Resolver
from puller.settings import RetryPolicy, Settings
from tests.fleet_queue.conftest import REGISTRY, SECONDS, Queue, task, tasks
from tests.lab.fakes import PULLED, FakeBackend
from tests.lab.process import wait_until


def most_at_once(queue: Queue) -> int:
    """Return how many fake pulls ran at once, by what they said."""
    words = sorted([*queue.lines("begin"), *queue.lines("end")], key=lambda line: float(line[0]))
    running, most = set[str](), 0
    for line in words:
        (running.add if line[1] == "begin" else running.discard)(line[4])
        most = max(most, len(running))
    return most


def test_two_tokens_are_two_pulls(queue: Queue) -> None:
    """Two hosts with two processes each never pull more than two images at once, and they do pull two."""
    for place, host in enumerate(("web-1", "web-2")):
        queue.broker.publish(host, tasks(host, [f"app-{place}-{number}" for number in range(4)]))
        queue.worker(host, jobs=2, seconds=0.2)
    assert len(queue.results(8)) == 8
    assert most_at_once(queue) == 2


def test_a_third_pull_waits_and_can_be_cancelled(queue: Queue) -> None:
    """A token that is given back goes to the next one; a registry without tokens has no limit."""
    cancel = Cancellation()
    limits = TokenLimits(queue.address("web-1"), cancel)
    slots = [limits.slots(REGISTRY) for _ in range(3)]
    assert not slots[0].acquire(False)  # whether one is free now, only the broker knows
    for each in slots[:2]:
        assert each.acquire()
    waiting = threading.Thread(target=slots[2].acquire, daemon=True)
    waiting.start()
    waiting.join(1.0)
    assert waiting.is_alive()
    slots[0].release()
    waiting.join(10)
    assert not waiting.is_alive()
    free = limits.slots("other.example")
    assert free.acquire()
    free.release()
    canceller = threading.Timer(0.5, cancel.cancel, ("the time is over",))
    canceller.start()
    with pytest.raises(CancelledError):
        slots[0].acquire()
    for each in slots[1:]:
        each.release()
    assert tokens_left(queue) == 2


def tokens_now(queue: Queue) -> int:
    """Return how many tokens nobody holds."""
    with open_connection(queue.address("web-1")) as connection:
        return int(connection.channel().queue_declare(token_queue(REGISTRY), passive=True).message_count)


def tokens_left(queue: Queue) -> int:
    """Return how many tokens nobody holds, after a moment."""
    wait_until(lambda: tokens_now(queue) == 2, 10)
    return tokens_now(queue)


@pytest.mark.parametrize(
    "error",
    [
        EngineError("toomanyrequests: retry-after: 0.1s, allowed: 44000/minute", status=429),
        EngineError("received unexpected HTTP status: 503 Service Unavailable", status=500),
    ],
)
def test_a_pull_that_waits_for_its_next_attempt_holds_no_token(queue: Queue, error: EngineError) -> None:
    """Whether a rate limit or a broken registry makes it wait: others pull meanwhile."""
    image, pulling, waiting = task().request, list[int](), list[int]()

    def fail(_cancel: Cancellation) -> EngineResult:
        pulling.append(tokens_now(queue))
        raise error

    def observe(event: Event) -> None:
        if isinstance(event, RetryScheduled):  # the pause begins after this
            waiting.append(tokens_now(queue))

    engine, settings = FakeBackend({image.reference.text: [fail, fail, PULLED]}), Settings(disk_check=False)
    settings = settings._replace(retry=RetryPolicy(delay=0.01))
    cancel = Cancellation()
    limits = TokenLimits(queue.address("web-1"), cancel)
    limit = threading.Timer(SECONDS, cancel.cancel, ("no token was given back",))
    limit.daemon = True
    limit.start()
    with PullSession(engine, Resolver(), settings, observe, cancel=cancel, limits=limits) as session:
        assert session.pull_one(image).status is Status.PULLED
    limit.cancel()
    assert (pulling, waiting) == ([1, 1], [2, 2])
    assert tokens_left(queue) == 2


def test_the_tokens_of_a_worker_that_is_killed_are_free_at_once(queue: Queue) -> None:
    """The broker need not miss its heartbeats, which takes longer than this test waits."""
    queue.broker.publish("web-1", tasks("web-1", ["a", "b"]))
    worker = queue.worker("web-1", jobs=2, seconds=600)
    assert queue.begun(2)
    assert tokens_now(queue) == 0
    waiting = TokenLimits(queue.address("web-2"), Cancellation()).slots(REGISTRY)
    thread = threading.Thread(target=waiting.acquire, daemon=True)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    worker.kill()
    thread.join(HEARTBEAT)
    assert not thread.is_alive()
    waiting.release()
    assert tokens_left(queue) == 2


def test_there_are_never_more_tokens_than_allowed(queue: Queue) -> None:
    """Those that are added while others are held do not stay when the others come back."""
    held = TokenLimits(queue.address("web-1"), Cancellation()).slots(REGISTRY)
    assert held.acquire()
    add_tokens(queue.address("controller"), token_queue(REGISTRY), 5)
    held.release()
    assert tokens_left(queue) == 2
