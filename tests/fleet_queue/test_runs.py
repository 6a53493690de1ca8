"""Runs from `puller submit` to `puller status`: a real broker, controller and store, and workers with a fake pull."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from puller.errors import ExitCode
from puller.fleet.queue.definitions import CONTROLLER
from puller.fleet.runs.model import RunState
from puller.fleet.runs.store import Store
from tests.fleet_queue.conftest import PASSWORD, REGISTRY, ROOT, SECONDS, Queue
from tests.lab.process import Process, clean_environment, wait_until
from tests.lab.samples import DIGEST
from tests.lab.schemas import assert_fits

IMAGES = ("app", "db")


class Desk:
    """The command line of the user who submits runs, with the broker in the environment."""

    def __init__(self, queue: Queue, folder: Path) -> None:
        self.queue = queue
        self._url = f"sqlite:///{folder / 'runs.db'}"
        self._log = folder / "controller.log"
        self._environment = clean_environment("PULLER_", "XDG_") | {
            "HOME": str(folder), "PYTHONPATH": str(ROOT), "PULLER_BROKER": queue.url(CONTROLLER),
            "PULLER_STORE": self._url,
        }  # fmt: skip
        self.store = Store(self._url)
        self.controller: Process | None = None
        self.said = ""
        """What the last `puller submit` said."""

    def puller(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run puller."""
        argv = [sys.executable, "-m", "puller", *words]
        return subprocess.run(argv, env=self._environment, capture_output=True, text=True, timeout=SECONDS, check=False)

    def use_certificate(self, folder: Path, ca: str) -> None:
        """Speak TLS with the broker, as the account of a certificate."""
        files = {"CA": ca, "CERT": f"{CONTROLLER}.pem", "KEY": f"{CONTROLLER}-key.pem"}
        self._environment |= {f"PULLER_BROKER_{name}": f"{folder}/{file}" for name, file in files.items()}
        self._environment["PULLER_BROKER"] = f"amqps://{CONTROLLER}@127.0.0.1:{self.queue.rabbit.tls_port}/puller"

    def submit(self, names: tuple[str, ...], *words: str, hosts: tuple[str, ...] = ("web-1", "web-2")) -> str:
        """Submit a run of images over hosts; return its name."""
        images = [f"--image={REGISTRY}/{name}:1@{DIGEST}" for name in names]
        done = self.puller("submit", *images, *(f"--host={host}" for host in hosts), *words)
        self.said = done.stderr
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def control(self) -> None:
        """Start `puller controller`."""
        argv = [sys.executable, "-m", "puller", "controller", "--check-after", "1s"]
        self.controller = Process(argv, self._log, self._environment)

    def online(self, *hosts: str) -> None:
        """Start the workers of hosts, and wait until the broker knows them."""
        for host in hosts:
            self.queue.worker(host)
        assert wait_until(lambda: all(self.queue.broker.backlog(host).consumers for host in hosts), SECONDS)

    def until(self, name: str, hosts: dict[str, str], state: RunState = RunState.RUNNING) -> None:
        """Wait until a run and its hosts are in these states."""

        def reached() -> bool:
            found = {host.name: host.state.value for host in self.store.hosts(name)}
            return found == hosts and self.store.run(name).state is state

        assert wait_until(reached, SECONDS), self.log()

    def log(self) -> str:
        """Return what the controller has said."""
        return self._log.read_text() if self._log.exists() else ""

    def end_control(self) -> None:
        """Kill the controller."""
        if self.controller:
            self.controller.kill()
        self.controller = None

    def close(self) -> None:
        """End the controller."""
        self.end_control()
        self.store.close()


@pytest.fixture
def desk(queue: Queue, tmp_path: Path) -> Iterator[Desk]:
    """Have a broker, and neither runs nor workers."""
    with closing(Desk(queue, tmp_path)) as desk:
        yield desk


def test_a_host_that_was_offline_catches_up(desk: Desk) -> None:
    """`puller status` ends with 3 while a host has no worker, and with 0 after its worker has come."""
    desk.online("web-1")
    name = desk.submit(IMAGES)
    desk.control()
    desk.until(name, {"web-1": "done", "web-2": "deferred"})
    assert desk.queue.broker.backlog("web-2") == (len(IMAGES), 0)
    waiting = desk.puller("status", name)
    assert waiting.returncode == ExitCode.HOSTS_UNREACHABLE, waiting.stdout
    assert "1 of 2 hosts has all images, 1 deferred" in waiting.stdout
    desk.online("web-2")
    desk.until(name, {"web-1": "done", "web-2": "done"}, RunState.FINISHED)
    done = desk.puller("status", name, "--format", "json")
    document = json.loads(done.stdout)
    assert_fits(document, "report")
    found = sorted((each["host"], each["status"], each["digest"]) for each in document["images"])
    assert found == [(host, "pulled", DIGEST) for host in ("web-1", "web-2") for _ in IMAGES]
    assert done.returncode == 0
    assert PASSWORD not in done.stdout + desk.log()


def test_a_failed_canary_publishes_nothing_more(desk: Desk) -> None:
    """The other host, whose worker waits for tasks, gets none; `puller status` ends with 4."""
    desk.online("web-1", "web-2")
    name = desk.submit(("missing", "db"), "--canary", "1")
    desk.control()
    desk.until(name, {"web-1": "failed", "web-2": "not_started"}, RunState.FINISHED)
    time.sleep(2)  # two more steps of the controller
    assert {line[3] for line in desk.queue.lines("begin")} == {"web-1"}
    assert desk.queue.broker.backlog("web-2").messages == 0
    status = desk.puller("status")
    assert status.returncode == ExitCode.HALTED, status.stdout
    assert "manifest unknown" in status.stdout


def test_a_controller_that_is_killed_misses_no_result(desk: Desk) -> None:
    """What workers report meanwhile waits in the broker; the next controller records each result once."""
    names = tuple(f"app-{number}" for number in range(6))
    desk.online("web-1")
    desk.control()
    name = desk.submit(names)
    assert desk.queue.begun(1)
    desk.end_control()
    desk.online("web-2")
    pulls = 2 * len(names)
    assert wait_until(lambda: len(desk.queue.lines("end")) == pulls, SECONDS)
    desk.control()
    desk.until(name, {"web-1": "done", "web-2": "done"}, RunState.FINISHED)
    images = json.loads(desk.puller("status", name, "--format", "json").stdout)["images"]
    assert [each["status"] for each in images] == ["pulled"] * pulls
    assert len(desk.queue.lines("begin")) == pulls


def test_pause_resume_and_cancel_reach_the_queue_of_a_host_that_is_offline(desk: Desk) -> None:
    """Its tasks are taken back, published again, and taken back for good: its worker finds nothing when it comes."""
    desk.online("web-1")
    desk.control()
    name = desk.submit(IMAGES)
    desk.until(name, {"web-1": "done", "web-2": "deferred"})
    for verb, waiting in (("pause", 0), ("resume", len(IMAGES)), ("cancel", 0)):
        assert desk.puller(verb, name).returncode == 0
        assert wait_until(lambda waiting=waiting: desk.queue.broker.backlog("web-2").messages == waiting, SECONDS)  # type: ignore[misc]
    desk.online("web-2")
    later = desk.submit(("last",), hosts=("web-2",))
    desk.until(later, {"web-2": "done"}, RunState.FINISHED)
    assert [line[4] for line in desk.queue.lines("begin") if line[3] == "web-2"] == [f"{REGISTRY}/last:1@{DIGEST}"]
    assert {host.name: host.state.value for host in desk.store.hosts(name)} == {"web-1": "done", "web-2": "cancelled"}


def test_submit_and_controller_have_certificates(desk: Desk, certificates: Path) -> None:
    """Over TLS, without a password; a broker of an authority that is not theirs gets no task, and that is one line."""
    desk.use_certificate(certificates, "other/ca.pem")
    first = desk.submit(IMAGES, hosts=("web-1",))
    submitted, refused = desk.said.splitlines()
    assert "submitted 2 images for 1 host" in submitted
    assert "certificate verify failed: self-signed certificate in certificate chain; is its authority that" in refused
    assert desk.queue.broker.backlog("web-1").messages == 0
    desk.use_certificate(certificates, "ca.pem")
    second = desk.submit(IMAGES, hosts=("web-1",))
    assert desk.queue.broker.backlog("web-1").messages == len(IMAGES)
    desk.control()
    desk.online("web-1")
    for name in (first, second):
        desk.until(name, {"web-1": "done"}, RunState.FINISHED)
