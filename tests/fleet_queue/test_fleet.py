"""`puller broker init` and `puller worker` as a user runs them: a real broker, engine and registry."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from puller.fleet.queue.address import BrokerAddress
from puller.fleet.queue.definitions import CONTROLLER
from puller.fleet.queue.messages import PullTask
from puller.fleet.queue.rabbitmq import RabbitBroker
from tests.fleet_queue.conftest import PASSWORD, ROOT
from tests.lab import Engine, Proxy, Registry, Rule, faults, layer, parse, push_image
from tests.lab.process import Process, clean_environment, wait_until
from tests.lab.rabbitmq import RabbitMQ

HOSTS = ("build-1", "build-2", "build-3", "build-4")
IMAGES = 20
TOKENS = 2
LAYER_SECONDS = 0.25
SECONDS = 60.0


class Hosts:
    """Four hosts with one engine, and accounts that `puller broker init` has made."""

    def __init__(self, rabbit: RabbitMQ, engine: Engine, folder: Path) -> None:
        self.rabbit, self.engine, self.folder = rabbit, engine, folder
        self.workers: dict[str, Process] = {}

    def init(self, registry: str, tokens: int) -> str:
        """Run `puller broker init`; return its output."""
        accounts = self.folder / "accounts"
        accounts.mkdir(mode=0o700, exist_ok=True)
        url = f"amqp://127.0.0.1:{self.rabbit.port}/puller"
        (accounts / f"{CONTROLLER}.env").write_text(f"PULLER_BROKER={self.rabbit.url(CONTROLLER, PASSWORD)}\n")
        words = ["broker", "init", "--url", url, "--accounts", str(accounts), f"--token={registry}={tokens}"]
        words += [f"--rabbitmqctl={self.rabbit.binary.programs}/rabbitmqctl", *(f"--host={name}" for name in HOSTS)]
        done = subprocess.run(
            [sys.executable, "-m", "puller", *words], cwd=ROOT, env=self.rabbit.environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def start(self, host: str) -> None:
        """Start `puller worker` with the file that was made for the host."""
        account = self.folder / "accounts" / f"{host}.env"
        assert stat.S_IMODE(account.stat().st_mode) == 0o600
        name, _, url = account.read_text().splitlines()[-1].partition("=")
        home = self.folder / host
        environment = clean_environment("PULLER_", "DOCKER_", "XDG_") | {
            name: url, "HOME": str(home), "DOCKER_HOST": self.engine.host, "PYTHONPATH": str(ROOT),
            "TMPDIR": str(home),
        }  # fmt: skip
        home.mkdir(exist_ok=True)
        argv = [sys.executable, "-m", "puller", "worker", "--jobs", "1"]
        self.workers[host] = Process(argv, self.folder / f"{host}.log", environment)

    def kill(self, host: str) -> None:
        """End a worker and its processes at once."""
        os.killpg(self.workers[host].pid, signal.SIGKILL)
        self.workers[host].kill()

    def log(self) -> str:
        """Return what all workers have said."""
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


@pytest.fixture
def hosts(rabbit: RabbitMQ, tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Hosts]:
    """Start an engine, and stop the workers at the end."""
    with Engine(parse(pytestconfig.getoption("--engine"))) as engine:
        hosts = Hosts(rabbit, engine, tmp_path)
        yield hosts
        for name, worker in hosts.workers.items():
            if worker.alive():
                hosts.kill(name)


def test_a_registry_has_no_more_pulls_than_tokens_also_while_a_host_is_killed(hosts: Hosts) -> None:
    """Four hosts pull 20 images with two tokens, by the registry's log; what was killed is pulled after a restart."""
    with Registry() as registry, Proxy(registry, [Rule("/blobs/", faults.delay(LAYER_SECONDS), "GET")]) as proxy:
        pushed = [push_image(registry, f"app-{number}", layers=[layer(number, 2000)]) for number in range(IMAGES)]
        assert hosts.init(proxy.address, TOKENS) == "4 hosts, 2 new tokens\n"
        assert hosts.init(proxy.address, TOKENS) == "4 hosts, 0 new tokens\n"
        with closing(RabbitBroker(BrokerAddress.parse(hosts.rabbit.url(CONTROLLER, PASSWORD)))) as broker:
            for place, host in enumerate(HOSTS):
                images = [f"{proxy.address}/{each.repository}:v1@{each.digest}" for each in pushed[place::4]]
                broker.publish(host, [PullTask("run-1", host, each, None, 1, 0.0) for each in images])
                hosts.start(host)
            assert wait_until(lambda: proxy.in_flight("GET", "/blobs/") > 0, SECONDS), hosts.log()
            victim = holder(proxy)
            hosts.kill(victim)
            killed = time.monotonic()
            hosts.start(victim)
            statuses = collect(broker, IMAGES, hosts)
        assert statuses == ["pulled"] * IMAGES
        assert most_at_once(proxy, killed, victim) == TOKENS
        assert "Traceback" not in hosts.log()
        assert PASSWORD not in hosts.log()


def holder(proxy: Proxy) -> str:
    """Return a host whose image is pulled now."""
    path = next(each.path for each in proxy.log if each.matches("GET", "/blobs/") and each.ended is None)
    return host_of(path)


def host_of(path: str) -> str:
    """Return the host of a request: it pulls every fourth image."""
    return HOSTS[int(path.partition("/app-")[2].partition("/")[0]) % len(HOSTS)]


def most_at_once(proxy: Proxy, killed: float, victim: str) -> int:
    """Return how many images were pulled at once; the requests of a host that is killed end with it."""
    spans: dict[tuple[str, bool], tuple[float, float]] = {}
    for each in proxy.log:
        if each.matches("GET", "/blobs/"):
            before, end = each.started < killed, each.ended or time.monotonic()
            if before and host_of(each.path) == victim:
                end = min(end, killed)
            key = each.path.partition("/blobs/")[0], before
            start, last = spans.get(key, (each.started, end))
            spans[key] = min(start, each.started), max(last, end)
    return max(sum(start <= moment < end for start, end in spans.values()) for moment, _ in spans.values())


def collect(broker: RabbitBroker, number: int, hosts: Hosts) -> list[str]:
    """Return the statuses of so many different images."""
    statuses: dict[str, str] = {}
    ends = time.monotonic() + SECONDS
    for delivery in broker.results():
        if delivery.result:
            statuses.setdefault(delivery.result.reference, delivery.result.outcome["status"])
        assert not delivery.problem
        delivery.ack()
        if len(statuses) >= number:
            break
        assert time.monotonic() < ends, hosts.log()
    return [*statuses.values()]
