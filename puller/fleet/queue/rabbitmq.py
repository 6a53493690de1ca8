"""RabbitMQ behind the interface of a broker, with kombu; the messages of tasks are Celery's (protocol version 2)."""

import json
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from threading import Event, Lock
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote
from uuid import uuid4

from amqp.exceptions import AccessRefused, AMQPError, NotFound, PreconditionFailed
from celery import Celery
from kombu.connection import Connection
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.pyamqp import Transport as AmqpTransport

from puller.fleet.queue.address import RESULTS, TASKS, BrokerAddress, host_queue
from puller.fleet.queue.broker import Backlog, Broker, BrokerError, Delivery
from puller.fleet.queue.messages import MessageError, PullTask, TaskResult, decode_result, decode_task, encode
from puller.text import clean

T = TypeVar("T")
PULL_TASK = "puller.pull"
"""The name of the only task that workers know."""
SCHEME = "puller-amqp"
CONNECT_SECONDS = 10.0
HEARTBEAT = 30
"""Seconds; the broker gives up a silent connection after two of them."""
_CONFIRM_SECONDS = 60.0
_TICK = 1.0
_PREFETCH = 200
"""Results that are delivered before the first of them is acknowledged."""
_TRIES = 3
_PAUSE = 1.0
_UNTRUSTED = (18, 19, 20)
"""What OpenSSL says of a certificate of an authority that it does not know (X509_verify_cert_error_string(3))."""
LOST = (OSError, AMQPError)
"""What an operation on a lost or refused connection raises; the refusals are AMQPError too."""


class Transport(AmqpTransport):
    """AMQP with a prefetch limit for each consumer: Celery asks for one for a channel, which RabbitMQ 4.3 refuses."""

    def qos_semantics_matches_spec(self, connection: Any) -> bool:  # noqa: ARG002 - kombu's signature
        return True


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


def tls_options(address: BrokerAddress) -> dict[str, Any] | None:
    """Return how TLS is spoken with a broker, in the words of py-amqp; None without TLS."""
    if not address.tls:
        return None
    options = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": address.host, "ca_certs": address.ca}
    return options | {
        "certfile": address.certificate,
        "keyfile": address.key,
        "tls_minimum_version": ssl.TLSVersion.TLSv1_2,
    }


def login_method(address: BrokerAddress) -> str:
    """Return the SASL mechanism."""
    return "EXTERNAL" if address.external else "PLAIN"


def celery_url(address: BrokerAddress) -> str:
    """Return the address for Celery, with the password."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    account = f"{quote(address.user, safe='')}:{quote(address.password, safe='')}"
    return f"{SCHEME}://{account}@{host}:{address.port}/{quote(address.vhost, safe='')}"


def open_connection(address: BrokerAddress, heartbeat: int = 0) -> Any:
    """Connect; the caller closes the connection. Raises BrokerError, with what to do about a refusal."""
    connection = Connection(
        transport=SCHEME, hostname=address.host, port=address.port, virtual_host=address.vhost, userid=address.user,
        password=address.password, ssl=tls_options(address) or False, login_method=login_method(address),
        connect_timeout=CONNECT_SECONDS, heartbeat=heartbeat,
        transport_options={"read_timeout": _CONFIRM_SECONDS, "write_timeout": CONNECT_SECONDS},
    )  # fmt: skip
    try:
        connection.connect()
    except LOST as error:
        with suppress(*LOST):
            connection.release()
        raise BrokerError(f"the broker {address} cannot be reached: {_words(error)}") from error
    return connection


def connect(
    url: str, *, ca: str | None = None, certificate: str | None = None, key: str | None = None
) -> "RabbitBroker":
    """Return the broker of an `amqps://` address, with TLS files if it has any. Raises UsageError and BrokerError."""
    return RabbitBroker(BrokerAddress.parse(url, ca=ca, certificate=certificate, key=key))


class _Confirmed(NamedTuple):
    """A channel whose messages the broker confirms, and what it said of them."""

    channel: Any
    returned: deque[str]
    refused: deque[int]


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
                if _is_refusal(error):
                    raise BrokerError(f"the results cannot be read from {self.address}: {_words(error)}") from None
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
                    raise BrokerError(f"{self.address}: {what}: {_words(error)}") from None
                except BrokerError as error:
                    if not left or self._control is not None or _is_refusal(error):
                        raise
                except LOST as error:
                    self._disconnect()
                    if not left:
                        raise BrokerError(f"the broker {self.address} does not answer: {_words(error)}") from None
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
            raise BrokerError(f"{address}: the result was not sent: {_words(error)}") from error


def add_tokens(address: BrokerAddress, queue: str, number: int) -> None:
    """Put tokens into a queue; raises BrokerError. What is more than the queue's `max-length` is dropped."""
    with open_connection(address) as connection:
        try:
            channel = connection.channel()
            tokens = [_prepared(channel, "token", {}) for _ in range(number)]
            _publish(channel, "", queue, tokens)
        except LOST as error:
            raise BrokerError(f"{address}: {queue}: {_words(error)}") from error


_NOTHING = Delivery(None, "", "", lambda: None)


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
        channel.connection.drain_events(timeout=_CONFIRM_SECONDS)
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


def _is_refusal(error: Exception) -> bool:
    """Whether trying again does not help."""
    cause = error.__cause__ if isinstance(error, BrokerError) else error
    return isinstance(cause, AccessRefused | NotFound | ssl.SSLCertVerificationError)


def _words(error: BaseException) -> str:
    """Return what is wrong, and what to do where the broker says no."""
    if isinstance(error, AccessRefused):
        return f"it refuses this account ({clean(str(error), 150)}); see `puller broker init`"
    if isinstance(error, NotFound):
        return "it does not exist; create it with `puller broker init`"
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = "; is its authority that of --broker-ca?" if error.verify_code in _UNTRUSTED else ""
        return f"certificate verify failed: {clean(error.verify_message, 150)}{advice}"
    return clean(str(error) or type(error).__name__, 200)
