"""RabbitMQ's own command, rabbitmqctl, which Debian's package has; the management plugin is not needed."""

import os
from collections.abc import Mapping

from puller.cancellation import Cancellation
from puller.errors import UsageError
from puller.fleet.queue.address import token_queue
from puller.fleet.queue.broker import BrokerError
from puller.fleet.queue.definitions import missing_tokens
from puller.system import process
from puller.system.clock import monotonic
from puller.text import clean

_SECONDS = 120.0
_TICK = 0.5
_KEPT = 32 << 20
"""Bytes of the list of queues: one of 5,000 hosts has 300 kB."""


class RabbitControl:
    """Runs rabbitmqctl, which root and the user of the broker may."""

    def __init__(self, program: str, vhost: str, cancel: Cancellation) -> None:
        self._program, self._vhost, self._cancel = program, vhost, cancel

    def import_definitions(self, definitions: str) -> None:
        """Create what the definitions (JSON) have, and replace what has changed; nothing is removed.

        They go by standard input, so that no file has them: rabbitmqctl 4.3 reads it only where this is the only word.
        Raises UsageError and BrokerError.
        """
        self._run("import_definitions", stdin=definitions)

    def missing_tokens(self, tokens: Mapping[str, int]) -> dict[str, int]:
        """Return how many tokens each queue lacks, as soon as it exists: an import goes on in the background."""
        ends = monotonic() + _SECONDS
        while tokens:
            listed = self._run("list_queues", "-p", self._vhost, "name", "messages", "--formatter", "json")
            if all(f'"{token_queue(registry)}"' in listed for registry in tokens):
                return missing_tokens(listed, tokens)
            if monotonic() > ends:
                raise BrokerError(f"the broker did not create the queues within {_SECONDS:g}s")
            self._cancel.sleep(_TICK)
        return {}

    def _run(self, *words: str, stdin: str | None = None) -> str:
        environment, quiet = dict(os.environ), () if stdin else ("-q",)
        try:
            done = process.run(
                [self._program, *quiet, *words], environment=environment, cancel=self._cancel, timeout=_SECONDS,
                stdin=None if stdin is None else stdin.encode(), keep=_KEPT,
            )  # fmt: skip
        except (FileNotFoundError, PermissionError):
            advice = "run this on the machine of the broker, or write the definitions to a file with --definitions"
            raise UsageError(f"{clean(self._program)} cannot be run: {advice}") from None
        except TimeoutError:
            raise BrokerError(f"rabbitmqctl {words[0]} did not end within {_SECONDS:g}s") from None
        if done.code:
            raise BrokerError(f"rabbitmqctl {words[0]} failed: {clean(done.stderr or done.stdout, 300)}")
        return done.stdout
