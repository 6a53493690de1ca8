"""A worker as a process, with a pull of nothing that says when it begins and ends: `ADDRESS JOBS FOLDER SECONDS TLS`.

Each pull takes a token of its registry, as a real one does, and adds its lines to the file `pulls` of the folder.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from puller.cancellation import Cancellation
from puller.errors import FailureKind
from puller.failure import failure
from puller.fleet.queue.address import BrokerAddress
from puller.fleet.queue.host_pull import HostEngine, Limits
from puller.fleet.queue.messages import PullTask
from puller.fleet.queue.worker import WorkerOptions, serve
from puller.model import PullOutcome, Status

URL, JOBS, FOLDER, SECONDS, TLS = sys.argv[1:]


def say(word: str, task: PullTask) -> None:
    """Add a line, in one write, so that lines of several processes do not mix."""
    line = f"{time.time():.3f} {word} {os.getpid()} {task.host} {task.reference}\n"
    with (Path(FOLDER) / "pulls").open("a") as file:
        file.write(line)


@contextmanager
def said(task: PullTask) -> Iterator[None]:
    """Say that a pull begins and ends."""
    say("begin", task)
    yield
    say("end", task)


def pull(task: PullTask, _engine: HostEngine, limits: Limits) -> PullOutcome:
    """Wait, and say that the image is there; `poison` in its name ends the process, and `missing` fails."""
    slots = limits(Cancellation()).slots(task.request.reference.registry)
    assert slots is not None
    slots.acquire()
    try:
        with said(task):
            if "poison" in task.reference:
                time.sleep(0.3)  # Celery takes note of a task that is begun
                os.kill(os.getpid(), 9)
            time.sleep(float(SECONDS))
    finally:
        slots.release()
    if "missing" in task.reference:
        why = failure(FailureKind.NOT_FOUND, "manifest unknown")
        return PullOutcome.of(task.request, Status.FAILED, failure=why)
    return PullOutcome.of(task.request, Status.PULLED, task.request.reference.digest)


if __name__ == "__main__":
    address = BrokerAddress.parse(URL, **json.loads(TLS))
    options = WorkerOptions(address.user, address, int(JOBS), HostEngine(seconds=60.0), sign_seconds=0.3)
    sys.exit(serve(options, pull))
