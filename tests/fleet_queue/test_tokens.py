"""The tokens of registries at a real RabbitMQ."""

import threading
import time
from contextlib import ExitStack

import pytest

from puller.cancellation import Cancellation
from puller.errors import CancelledError
from puller.fleet.queue.address import token_queue
from puller.fleet.queue.rabbitmq import add_tokens, open_connection
from puller.fleet.queue.tokens import TokenLimits
from tests.fleet_queue.conftest import REGISTRY, Queue, tasks


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


def tokens_left(queue: Queue) -> int:
    """Return how many tokens nobody holds, after a moment."""
    ends = time.monotonic() + 10
    while True:
        with open_connection(queue.address("web-1")) as connection, ExitStack() as stack:
            channel = stack.enter_context(connection.channel())
            found = channel.queue_declare(token_queue(REGISTRY), passive=True).message_count
        if found == 2 or time.monotonic() > ends:
            return int(found)
        time.sleep(0.1)


def test_there_are_never_more_tokens_than_allowed(queue: Queue) -> None:
    """Those that are added while others are held do not stay when the others come back."""
    held = TokenLimits(queue.address("web-1"), Cancellation()).slots(REGISTRY)
    assert held.acquire()
    add_tokens(queue.address("controller"), token_queue(REGISTRY), 5)
    held.release()
    assert tokens_left(queue) == 2
