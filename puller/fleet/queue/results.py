"""What a worker says of a task: its result, and before that, signs that the task is in hand."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from puller.fleet.queue.address import BrokerAddress
from puller.fleet.queue.broker import BrokerError
from puller.fleet.queue.messages import SIGN_SECONDS, PullTask, TaskResult
from puller.fleet.queue.rabbitmq import send_result
from puller.model import PullOutcome, Status
from puller.report.json import image_document


def result_of(task: PullTask, outcome: PullOutcome) -> TaskResult:
    """Return the message about an outcome."""
    document = image_document(outcome._replace(host=task.host))
    return TaskResult(task.run, task.host, task.reference, task.attempt, document)


@contextmanager
def signs(address: BrokerAddress, task: PullTask, seconds: float = SIGN_SECONDS) -> Iterator[None]:
    """Send every `seconds` in the block that the task is in hand, so that it is not published again.

    A sign is a result that is `pending`. The broker may lose it; a process that is killed sends no more.
    """
    over = Event()
    sign = result_of(task, PullOutcome.of(task.request, Status.PENDING))

    def tell() -> None:
        while not over.wait(seconds):
            with suppress(BrokerError):
                send_result(address, sign, lasting=False)

    Thread(target=tell, name="signs", daemon=True).start()
    try:
        yield
    finally:
        over.set()
