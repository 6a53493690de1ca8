"""RabbitMQ behind the interface of a broker, with py-amqp; the messages of tasks are Celery's (protocol version 2)."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from threading import Event, Lock
from typing import Any, TypeVar
from uuid import uuid4

from amqp.exceptions import AccessRefused, NotFound, PreconditionFailed
from celery import Celery

from puller.fleet.queue.address import RESULTS, TASKS, BrokerAddress, host_queue
from puller.fleet.queue.broker import Backlog, Broker, BrokerError, Delivery
from puller.fleet.queue.connection import CONFIRM_SECONDS, HEARTBEAT, LOST, is_refusal, open_connection, words_of
from puller.fleet.queue.messages import MessageError, PullTask, TaskResult, decode_result, decode_task, encode
from puller.text import clean

T = TypeVar("T")
PULL_TASK = "puller.pull"
"""The name of the only task that workers know."""
_TICK = 1.0
_PREFETCH = 200
"""Results that are delivered before the first of them is acknowledged."""
_TRIES = 3
_PAUSE = 1.0
_NOTHING = Delivery(None, "", "", lambda: None)


class RabbitBroker(Broker):
    """A broker for the controller. Calls may come from several threads; `results` has a connection of its own."""

    def __init__(self, address: BrokerAddress) -> None:
        self.address = address
        self._app = Celery("puller", set_as_current=False, fixups=[])
        self._hosts: dict[str, None] = {}
        self._lock = Lock()
        self._control: Any = None
        self._closed = Event()
        self._with_channel(lambda _: None)

    def publish(self, host: str, tasks: Sequence[PullTask]) -> None:
        """Publish all tasks, and then wait for the broker to confirm them. Raises BrokerError also for a new host."""

        def send(channel: Any) -> None:
            _publish(channel, TASKS, host, [self._message(channel, task) for task in tasks])

        self._with_channel(send, f"tasks for {clean(host)}")
        self._hosts[host] = None

    def results(self) -> Iterator[Delivery]:
        while not self._closed.is_set():
            try:
                with open_connection(self.address, HEARTBEAT) as connection:
                    yield from self._consume(connection)
            except (*LOST, BrokerError) as error:
                if is_refusal(error):
                    raise BrokerError(f"the results cannot be read from {self.address}: {words_of(error)}") from None
                yield _NOTHING
                self._closed.wait(_PAUSE)

    def backlog(self, host: str) -> Backlog:
        def ask(channel: Any) -> Backlog:
            found = channel.queue_declare(host_queue(host), passive=True)
            return Backlog(found.message_count, found.consumer_count)

        return self._with_channel(ask, f"the queue of {clean(host)}")

    def purge(self, run: str, hosts: Sequence[str] = ()) -> int:
        """Take all messages from each queue, and give back those of other runs; they keep their order."""
        removed = 0
        for host in hosts or tuple(self._hosts):
            queue = host_queue(host)
            removed += self._with_channel(partial(_purge, queue=queue, run=run), clean(queue))
        return removed

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._disconnect()

    def _consume(self, connection: Any) -> Iterator[Delivery]:
        """Yield what comes on one connection; acknowledging after it is lost does nothing."""
        channel, waiting = connection.channel(), deque[Any]()
        channel.basic_qos(0, _PREFETCH, a_global=False)
        channel.basic_consume(RESULTS, callback=waiting.append)
        while not self._closed.is_set():
            if not waiting:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_TICK)
                connection.heartbeat_check()
            if not waiting:
                yield _NOTHING
            while waiting:
                yield _delivery(waiting.popleft(), channel)

    def _message(self, channel: Any, task: PullTask) -> Any:
        words = f"{task.run} {task.reference}"
        made = self._app.amqp.as_task_v2(uuid4().hex, PULL_TASK, (encode(task),), argsrepr=words, origin="controller")
        return _prepared(channel, json.dumps(made.body), made.properties, made.headers)

    def _with_channel(self, use: Callable[[Any], T], what: str = "it") -> T:
        """Use a new channel of the control connection; connect anew where it was lost. Raises BrokerError."""
        with self._lock:
            for left in reversed(range(_TRIES)):
                try:
                    self._control = self._control or open_connection(self.address)
                    channel = self._control.channel()
                    answer = use(channel)
                    channel.close()
                except (AccessRefused, NotFound, PreconditionFailed) as error:  # it closed only the channel
                    raise BrokerError(f"{self.address}: {what}: {words_of(error)}") from None
                except BrokerError as error:
                    if not left or self._control is not None or is_refusal(error):
                        raise
                except LOST as error:
                    self._disconnect()
                    if not left:
                        raise BrokerError(f"the broker {self.address} does not answer: {words_of(error)}") from None
                else:
                    return answer
                self._closed.wait(_PAUSE)
            raise AssertionError

    def _disconnect(self) -> None:
        if self._control is not None:
            with suppress(*LOST):
                self._control.release()
            self._control = None


def send_result(address: BrokerAddress, result: TaskResult, *, lasting: bool = True) -> None:
    """Send a result to the controller, as the user of the address; a `lasting` one is on the broker's disk on return.

    The broker compares `user_id` with the user of the connection, and refuses a message of anybody else
    (https://www.rabbitmq.com/docs/validated-user-id). Raises BrokerError.
    """
    with open_connection(address) as connection:
        try:
            channel = connection.channel()
            mode = {} if lasting else {"delivery_mode": 1}
            message = _prepared(channel, encode(result), {"user_id": address.user, **mode})
            _publish(channel, RESULTS, RESULTS, [message])
        except LOST as error:
            raise BrokerError(f"{address}: the result was not sent: {words_of(error)}") from error


def add_tokens(address: BrokerAddress, queue: str, number: int) -> None:
    """Put tokens into a queue; raises BrokerError. What is more than the queue's `max-length` is dropped."""
    with open_connection(address) as connection:
        try:
            channel = connection.channel()
            tokens = [_prepared(channel, "token", {}) for _ in range(number)]
            _publish(channel, "", queue, tokens)
        except LOST as error:
            raise BrokerError(f"{address}: {queue}: {words_of(error)}") from error


def _delivery(message: Any, channel: Any) -> Delivery:
    """Read a result. The sender is what the broker has validated; a message without one is nobody's."""

    def ack() -> None:
        with suppress(*LOST):
            channel.basic_ack(message.delivery_tag)

    sender = clean(str(message.properties.get("user_id") or ""))
    try:
        result = decode_result(message.body)
    except MessageError as error:
        return Delivery(None, sender, str(error), ack)
    if result.host != sender:
        return Delivery(None, sender, f"a result of {result.host} came from {sender or 'an unnamed sender'}", ack)
    return Delivery(result, sender, "", ack)


def _prepared(channel: Any, body: str, properties: dict[str, Any], headers: dict[str, Any] | None = None) -> Any:
    """Return a message of JSON that a restart of the broker does not lose."""
    return channel.prepare_message(
        body, content_type="application/json", content_encoding="utf-8", headers=headers or {},
        properties={"delivery_mode": 2, **properties},
    )  # fmt: skip


def _publish(channel: Any, exchange: str, key: str, messages: Sequence[Any]) -> None:
    """Publish messages and wait until all are confirmed: in one go, since each alone would wait for the disk.

    Raises BrokerError if the broker refuses one, or has no queue for it.
    """
    open_tags, problems = set(range(1, len(messages) + 1)), list[str]()

    def confirm(tag: int, multiple: bool) -> None:  # noqa: FBT001 - py-amqp's signature
        open_tags.difference_update({each for each in open_tags if each <= tag} if multiple else {tag})

    def refuse(tag: int, multiple: bool) -> None:  # noqa: FBT001 - likewise
        problems.append("the broker refused the message: it may be full")
        confirm(tag, multiple)

    channel.confirm_select()
    channel.events["basic_ack"].add(confirm)
    channel.events["basic_nack"].add(refuse)
    channel.events["basic_return"].add(lambda *_: problems.append(f"there is no queue for {key}: `puller broker init`"))
    for message in messages:
        channel.basic_publish(message, exchange=exchange, routing_key=key, mandatory=True)
    while open_tags:
        channel.connection.drain_events(timeout=CONFIRM_SECONDS)
    if problems:
        raise BrokerError(problems[0])


def _purge(channel: Any, queue: str, run: str) -> int:
    """Acknowledge the tasks of a run; the others go back to their places when the channel is closed."""
    removed = 0
    while message := channel.basic_get(queue):
        if _run_of(message) == run:
            channel.basic_ack(message.delivery_tag)
            removed += 1
    return removed


def _run_of(message: Any) -> str | None:
    """Return the run of a task in a queue; None for a message that is no task."""
    try:
        return decode_task(json.loads(message.body)[0][0]).run
    except (ValueError, TypeError, LookupError):
        return None
