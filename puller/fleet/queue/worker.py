"""The worker of a host: Celery with one queue and one task, which pulls an image.

A task is acknowledged after its result is on the broker's disk. If the worker, one of its processes or the broker dies
before that, the task comes again; the lock of the image makes that harmless.
"""

import logging
import time
import warnings
from collections.abc import Callable
from multiprocessing.util import get_temp_dir
from shutil import rmtree
from typing import Any, NamedTuple

from celery import Celery
from celery.exceptions import Reject
from celery.signals import setup_logging
from kombu.entity import Exchange, Queue

from puller.errors import ExitCode, FailureKind, UsageError
from puller.failure import Failure, classify, failure
from puller.fleet.queue.address import TASKS, BrokerAddress, host_queue
from puller.fleet.queue.broker import BrokerError
from puller.fleet.queue.connection import HEARTBEAT, celery_url, login_method, tls_options
from puller.fleet.queue.host_pull import HostEngine, Limits, failed, pull
from puller.fleet.queue.host_state import HostState
from puller.fleet.queue.messages import SIGN_SECONDS, MessageError, PullTask, TaskResult, decode_task
from puller.fleet.queue.rabbitmq import PULL_TASK, send_result
from puller.fleet.queue.results import result_of, signs
from puller.fleet.queue.tokens import TokenLimits
from puller.model import PullOutcome
from puller.text import clean, counted, plain_error

_log = logging.getLogger(__name__)
MOST_BEGUN = 3
"""How often a task is begun on a host before it counts as one that kills its worker."""
_GRACE = 600.0
"""Seconds after the end of its time until a task that does not stop is killed."""
_LONGEST_LINE = 400
_SEND_TRIES = 5
_SEND_PAUSE = 2.0
Pull = Callable[[PullTask, HostEngine, Limits], PullOutcome]


class WorkerOptions(NamedTuple):
    """What a worker is told."""

    host: str
    address: BrokerAddress
    jobs: int = 3
    """Pulls at the same time; each has a process."""
    engine: HostEngine = HostEngine()
    log_level: str = "INFO"
    sign_seconds: float = SIGN_SECONDS
    """How often the controller is told of a pull that takes long."""


def serve(options: WorkerOptions, pull_image: Pull = pull) -> int:
    """Work until SIGTERM, which waits for the pulls in flight, or a second one; return the exit code.

    A broker that cannot be reached is waited for. Raises UsageError if the state folder cannot be used.
    """
    warnings.filterwarnings("ignore", "You're running the worker with superuser privileges")
    tasks = HostTasks(options, HostState(), pull_image)
    app = _app(options)
    app.task(tasks.run, name=PULL_TASK)
    app.finalize()
    for name in [*app.tasks]:
        if name != PULL_TASK:  # those that Celery brings along
            app.tasks.unregister(name)
    setup_logging.connect(_set_up_logging)
    worker = app.Worker(
        hostname=f"puller@{options.host}", pool="prefork", concurrency=options.jobs, loglevel=options.log_level,
        quiet=True, without_gossip=True, without_mingle=True, without_heartbeat=True,
    )  # fmt: skip
    try:
        worker.start()
    finally:
        rmtree(get_temp_dir(), ignore_errors=True)  # the pool's folder: puller leaves without Python's own tidying up
    return int(worker.exitcode or ExitCode.OK)


class HostTasks:
    """Runs the tasks of a host, in the processes of the pool."""

    def __init__(self, options: WorkerOptions, state: HostState, pull_image: Pull = pull) -> None:
        self._options, self._state, self._pull = options, state, pull_image

    def run(self, *arguments: object, **others: object) -> None:
        """Run one task; what is not a task for this host is refused, with a line in the log."""
        try:
            task = self._read(arguments, others)
        except MessageError as error:
            _log.error("refused a task: %s", error)
            return
        if task.expires and time.time() > task.expires:
            _log.info("%s of the run %s has expired", task.reference, task.run)
            return
        with signs(self._options.address, task, self._options.sign_seconds):
            try:
                status = self._pulled(task)
            except (OSError, UsageError) as error:
                outcome = failed(task.request, _why_not_begun(error))
                self._send(result_of(task, outcome), last=True)
                status = outcome.status
        _log.info("%s: %s", task.reference, status)

    def _pulled(self, task: PullTask) -> str:
        """Pull under the lock of the image; raises OSError and UsageError if the state folder cannot be used."""
        with self._state.image(task, self._options.engine.seconds) as begun:
            number = begun.count()
            result = self._result(task, number)
            self._send(result, last=number > MOST_BEGUN)
            begun.forget()
        return str(result.outcome["status"])

    def _read(self, arguments: tuple[object, ...], others: dict[str, object]) -> PullTask:
        if len(arguments) != 1 or others or not isinstance(arguments[0], str):
            raise MessageError("a task has one argument, a text")
        task = decode_task(arguments[0])
        if task.host != self._options.host:
            raise MessageError(f"it is for {task.host}, and this is {self._options.host}")
        return task

    def _result(self, task: PullTask, number: int) -> TaskResult:
        if number > MOST_BEGUN:
            times = counted(MOST_BEGUN, "time")
            outcome = failed(task.request, failure(FailureKind.INTERNAL, f"the pull ended its process {times}"))
        else:
            limits: Limits = lambda cancel: TokenLimits(self._options.address, cancel)  # noqa: E731
            outcome = self._pull(task, self._options.engine, limits)
        return result_of(task, outcome)

    def _send(self, result: TaskResult, *, last: bool) -> None:
        """Send a result; while the broker is away its task comes again, and so does the result.

        A `last` result that the broker refuses is given up: otherwise its task would come for ever.
        """
        for left in reversed(range(_SEND_TRIES)):
            try:
                send_result(self._options.address, result)
            except BrokerError as error:
                _log.warning("%s", error)
                if left:
                    time.sleep(_SEND_PAUSE)
            else:
                return
        if not last:
            raise Reject("the result was not sent", requeue=True)


def _why_not_begun(error: OSError | UsageError) -> Failure:
    if isinstance(error, TimeoutError):
        return failure(FailureKind.TIMEOUT, "another pull of this image has not ended on this host")
    return classify(plain_error(error))


class _OneLine(logging.Formatter):
    """One line for each record, made safe, without the traces that Celery adds."""

    def format(self, record: logging.LogRecord) -> str:
        return f"puller: {clean(record.getMessage(), _LONGEST_LINE)}"


def _set_up_logging(*_: object, loglevel: int = logging.INFO, **__: object) -> None:
    """Log to standard error; Celery leaves the loggers alone if its signal has a receiver."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=loglevel, handlers=[handler], force=True)
    logging.getLogger("multiprocessing").handlers = [handler]  # billiard's, which tells of processes that end
    logging.getLogger("py.warnings").setLevel(logging.ERROR)  # of settings that are set on purpose
    for name in ("celery", "amqp", "kombu"):
        logging.getLogger(name).setLevel(max(loglevel, logging.WARNING))


def _app(options: WorkerOptions) -> Celery:
    address, seconds = options.address, options.engine.seconds
    queue = Queue(
        host_queue(options.host), Exchange(TASKS, "direct", no_declare=True), routing_key=options.host, durable=True,
        no_declare=True,
    )  # fmt: skip
    app = Celery("puller", set_as_current=False, fixups=[])
    settings: dict[str, Any] = {
        "broker_url": celery_url(address),
        "broker_use_ssl": tls_options(address),
        "broker_login_method": login_method(address),
        "broker_heartbeat": HEARTBEAT,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # for ever
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_queues": [queue],
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": seconds + _GRACE,
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # a pull goes on; the lock awaits its end
        "worker_redirect_stdouts": False,
    }
    app.conf.update(settings)
    return app
