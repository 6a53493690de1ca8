"""One broker for all tests, with four hosts and two tokens, and workers as processes of their own."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from puller.fleet.queue.address import BrokerAddress, token_queue
from puller.fleet.queue.broker import Broker, Delivery
from puller.fleet.queue.connection import open_connection
from puller.fleet.queue.definitions import CONTROLLER, definitions
from puller.fleet.queue.messages import PullTask, TaskResult
from puller.fleet.queue.rabbitmq import RabbitBroker, add_tokens
from puller.model import Status
from tests.lab import brokers, tls
from tests.lab.process import Process, WorldError, clean_environment, wait_until
from tests.lab.rabbitmq import RabbitMQ
from tests.lab.samples import DIGEST

HOSTS = ("web-1", "web-2", "web-3", "web-4")
REGISTRY = "registry.example:5000"
PASSWORD = "secret"
WITHOUT_PASSWORD = "web-4"
SECONDS = 30.0
NO_TLS: Mapping[str, str] = {}
ROOT = Path(__file__).parents[2]


class Worker:
    """A worker with a fake pull."""

    def __init__(self, url: str, folder: Path, jobs: int, seconds: float, tls: Mapping[str, str]) -> None:
        words = [url, str(jobs), str(folder), str(seconds), json.dumps(dict(tls))]
        self._argv = [sys.executable, "-m", "tests.fleet_queue.fake_worker", *words]
        self._folder = folder
        self._environment = clean_environment("PULLER_") | {
            "XDG_STATE_HOME": str(folder / url.partition("@")[0].rpartition("/")[2].partition(":")[0]),
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder),  # those that are killed leave a folder
        }
        self.process = self._start()

    def _start(self) -> Process:
        return Process(self._argv, self._folder / "worker.log", self._environment)

    def children(self) -> list[psutil.Process]:
        """Return the processes of the pool."""
        return psutil.Process(self.process.pid).children()

    def kill(self) -> None:
        """End the worker and its processes at once, as a host does that is switched off."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()

    def restart(self) -> None:
        """Start it again."""
        self.process = self._start()

    def log(self) -> str:
        """Return what it and the others of the test have said."""
        return (self._folder / "worker.log").read_text()


class Queue:
    """The broker as a test sees it."""

    def __init__(self, rabbit: RabbitMQ, folder: Path) -> None:
        self.rabbit, self.folder = rabbit, folder
        self.workers: list[Worker] = []
        self.broker: Broker = RabbitBroker(self.address(CONTROLLER))

    def url(self, user: str) -> str:
        """Return the address for an account."""
        return self.rabbit.url(user, PASSWORD)

    def address(self, user: str) -> BrokerAddress:
        """Return the address for an account, parsed."""
        return BrokerAddress.parse(self.url(user))

    def worker(self, host: str, jobs: int = 1, seconds: float = 0.0) -> Worker:
        """Start a worker."""
        return self.worker_at(self.url(host), jobs, seconds)

    def worker_at(self, url: str, jobs: int = 1, seconds: float = 0.0, tls: Mapping[str, str] = NO_TLS) -> Worker:
        """Start a worker for an address, with TLS files if it has any."""
        worker = Worker(url, self.folder, jobs, seconds, tls)
        self.workers.append(worker)
        return worker

    def lines(self, word: str) -> list[list[str]]:
        """Return what the pulls have said of their beginnings or ends."""
        path = self.folder / "pulls"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if line[1] == word]

    def begun(self, number: int) -> bool:
        """Wait until so many pulls have begun."""
        return wait_until(lambda: len(self.lines("begin")) >= number, SECONDS)

    def results(self, number: int) -> list[TaskResult]:
        """Return so many different results, and acknowledge all; signs of long pulls are none."""
        found: dict[TaskResult | tuple[str, ...], TaskResult] = {}
        for delivery in self.deliveries(lambda: len(found) >= number):
            if (result := delivery.result) and result.outcome["status"] != Status.PENDING:
                found[result.run, result.host, result.reference, str(result.attempt)] = result
        return [*found.values()]

    def deliveries(self, enough: Callable[[], bool]) -> Iterator[Delivery]:
        """Yield and acknowledge what the hosts send."""
        ends = time.monotonic() + SECONDS
        for delivery in self.broker.results():
            if delivery.result or delivery.problem:
                yield delivery
                delivery.ack()
            if enough():
                return
            assert time.monotonic() < ends, (self.folder / "worker.log").read_text()

    def close(self) -> None:
        """End the workers, and empty the queues."""
        for worker in self.workers:
            if worker.process.alive():
                worker.kill()
        self.broker.close()


def task(host: str = "web-1", name: str = "app", run: str = "run-1", attempt: int = 1, expires: float = 0) -> PullTask:
    """Return a task for an image of the registry with tokens."""
    return PullTask(run, host, f"{REGISTRY}/{name}:1@{DIGEST}", None, attempt, expires)


def tasks(host: str, names: Sequence[str], run: str = "run-1") -> list[PullTask]:
    """Return tasks for several images."""
    return [task(host, name, run) for name in names]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, certificates of the broker, the controller and two hosts, and an authority of others."""
    folder = tmp_path_factory.mktemp("certificates")
    tls.authority(folder)
    tls.certificate(folder, "broker", "subjectAltName=IP:127.0.0.1\n", file="broker")
    for name in (CONTROLLER, "web-1", WITHOUT_PASSWORD):
        tls.certificate(folder, name, "extendedKeyUsage=clientAuth\n", file=name)
    (folder / "other").mkdir()
    tls.authority(folder / "other")
    return folder


@pytest.fixture(scope="session")
def rabbit(certificates: Path, pytestconfig: pytest.Config) -> Iterator[RabbitMQ]:
    """Start the broker, or skip where there is none."""
    try:
        binary = brokers.parse(pytestconfig.getoption("--broker"))
    except WorldError as error:
        pytest.skip(str(error))
    passwords = {host: "" if host == WITHOUT_PASSWORD else PASSWORD for host in HOSTS}
    text = definitions(passwords, {REGISTRY: 2}, PASSWORD)
    with RabbitMQ(text, certificates, binary) as rabbit:
        add_tokens(BrokerAddress.parse(rabbit.url(CONTROLLER, PASSWORD)), token_queue(REGISTRY), 2)
        yield rabbit


@pytest.fixture
def queue(rabbit: RabbitMQ, tmp_path: Path) -> Iterator[Queue]:
    """Give the broker with empty queues."""
    tmp_path.chmod(0o711)
    with closing(Queue(rabbit, tmp_path)) as queue:
        yield queue
    rabbit_is_empty(rabbit)


def rabbit_is_empty(rabbit: RabbitMQ) -> None:
    """Remove what a test left in the queues of hosts and results, also what its connections give back at their end."""
    with open_connection(BrokerAddress.parse(rabbit.url(CONTROLLER, PASSWORD))) as connection:
        channel = connection.channel()
        for name in ("puller.results", *(f"puller.host.{host}" for host in HOSTS)):
            wait_until(partial(_is_unread, channel, name), SECONDS)
            channel.queue_purge(name)


def _is_unread(channel: Any, name: str) -> bool:
    return bool(channel.queue_declare(name, passive=True).consumer_count == 0)
