"""The tokens of a registry: as many pulls as its queue has messages, over all hosts of the fleet.

It is RabbitMQ's pattern of a distributed semaphore: a pull holds an unacknowledged message, and gives it back.
If the holder dies, the broker gives the message to the next
(https://www.rabbitmq.com/blog/2014/02/19/distributed-semaphores-with-rabbitmq).
"""

import logging
from contextlib import suppress
from threading import Event, Thread
from typing import Any

from amqp.exceptions import NotFound

from puller.cancellation import Cancellation
from puller.errors import CancelledError
from puller.fleet.queue.address import BrokerAddress, token_queue
from puller.fleet.queue.broker import BrokerError
from puller.fleet.queue.connection import LOST, open_connection
from puller.registry.pools import SharedLimits

_log = logging.getLogger(__name__)
HEARTBEAT = 20
"""Seconds; a token of a host that is cut off is free after two to three of them."""
_TICK = 0.1
"""Seconds in which the release of a token is noticed."""
_PAUSE = 2.0
"""Seconds between two attempts to reach the broker."""
_GIVEN_BACK = 5.0


class TokenLimits(SharedLimits):
    """Limits whose slots are tokens at the broker; for one session, which ends with `cancel`."""

    def __init__(self, address: BrokerAddress, cancel: Cancellation) -> None:
        super().__init__()
        self._address, self._cancel = address, cancel

    def slots(self, registry: str) -> "Token":
        return Token(self._address, registry, self._cancel)


class Token:
    """One token of a registry; a registry without tokens has no limit.

    A thread holds it, because the connection must be served during the pull: from a silent one the broker takes it.
    """

    def __init__(self, address: BrokerAddress, registry: str, cancel: Cancellation) -> None:
        self._address, self._queue, self._cancel = address, token_queue(registry), cancel
        self._granted, self._released = Event(), Event()
        self._thread: Thread | None = None

    def acquire(self, blocking: bool = True, /) -> bool:  # noqa: FBT001, FBT002 - as semaphores have it
        """Wait for a token, however long; raises CancelledError. Only the broker knows whether one is free now."""
        if not blocking:
            return False
        self._granted.clear()
        self._released.clear()
        self._thread = Thread(target=self._hold, name="token", daemon=True)
        self._thread.start()
        try:
            with self._cancel.hook(self._granted.set):
                self._granted.wait()
            self._cancel.check()
        except CancelledError:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Give the token back; it is free for others on return if the broker can be reached."""
        self._released.set()
        if self._thread is not None:
            self._thread.join(_GIVEN_BACK)

    def _hold(self) -> None:
        """Get a token and keep it until it is released. While the broker is away, a pull goes on, and none begins."""
        while not self._released.is_set():
            try:
                with open_connection(self._address, HEARTBEAT) as connection:
                    self._serve(connection)
            except NotFound:
                self._granted.set()
                return
            except (BrokerError, *LOST) as error:
                if self._granted.is_set():
                    _log.warning("the token of %s was lost with the broker: %s", self._queue, error)
                    return
                _log.info("no token of %s yet: %s", self._queue, error)
                self._released.wait(_PAUSE)
            else:
                return

    def _serve(self, connection: Any) -> None:
        channel, tokens = connection.channel(), list[Any]()
        channel.basic_qos(0, 1, a_global=False)
        consumer = channel.basic_consume(self._queue, callback=tokens.append)
        while not self._released.is_set():
            if tokens:
                self._granted.set()
            with suppress(TimeoutError):
                connection.drain_events(timeout=_TICK)
            connection.heartbeat_check()
        channel.basic_cancel(consumer)  # otherwise the token comes back at once
        for token in tokens:
            channel.basic_reject(token.delivery_tag, requeue=True)
        channel.close()  # answered, so that the token is back
