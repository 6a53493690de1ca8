"""The part of scripts/fleet-demo with a broker: a run over three hosts, one of which is off when it is submitted.

Everything it starts ends with it, also on Ctrl-C.
"""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from puller.errors import ExitCode
from puller.fleet.runs.store import Store
from puller.model.hosts import HostState
from scripts import demo
from tests.lab import Engine, Registry, WorldError, layer, push_image
from tests.lab.process import Process, clean_environment, wait_until
from tests.lab.rabbitmq import RabbitMQ

HOSTS = ("web-1", "web-2", "web-3")
OFF = HOSTS[-1]
IMAGES = ("shop/web:1.4", "shop/api:2.0", "shop/search:2.0", "tools/backup:7")
BYTES = 1 << 20
PATIENCE = 60.0


def main() -> None:
    """Show a run from `puller broker init` to `puller watch`."""
    with ExitStack() as stack:
        _Demonstration(stack).show()
    print("\nEverything is stopped and removed.", flush=True)


class _Demonstration:
    """The hosts, the broker and the registry, and what a user does with them."""

    def __init__(self, stack: ExitStack) -> None:
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="puller-")))
        self._store = f"sqlite:///{self._folder}/runs.db"
        self._registry, self._rabbit = Registry(), RabbitMQ("{}")
        self._engines = {host: Engine() for host in HOSTS}
        self._daemons: tuple[Registry | RabbitMQ | Engine, ...] = (
            self._registry, self._rabbit, *self._engines.values()
        )  # fmt: skip
        self._processes: list[Process] = []
        stack.callback(self._stop)
        print("Starting RabbitMQ, a registry and three Docker Engines", flush=True)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda each: each.start(), self._daemons))

    def _stop(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(_end, self._processes))
            list(pool.map(lambda each: each.stop(), self._daemons))

    def show(self) -> None:
        """Submit a run while a host is off, and watch it catch up."""
        print("\nThe hosts, and the images, which are in the registry:")
        self._file("hosts.txt", HOSTS)
        self._file("images.txt", [self._push(*name.split(":")) for name in IMAGES])
        print("\nAccounts, queues and tokens are made: at most two pulls from the registry at once, over all hosts.")
        url, token = f"amqp://127.0.0.1:{self._rabbit.port}/puller", f"{self._registry.address}=2"
        desk = {name: text for name, text in self._rabbit.environment.items() if not name.startswith("PULLER_")}
        desk["PATH"] = f"{self._rabbit.binary.programs}:{desk['PATH']}"  # for rabbitmqctl
        init = ("broker", "init", "--url", url, "--hosts", "hosts.txt", "--accounts", "accounts", "--token", token)
        demo.run(self._folder, desk, 0, *init)
        print(f"\nEach host runs a worker, with its account in PULLER_BROKER; {OFF} is off. The controller has a page.")
        for host in HOSTS[:-1]:
            self._work(host)
        with socket.create_server(("127.0.0.1", 0)) as free:
            page = f"127.0.0.1:{free.getsockname()[1]}"
        controller = self._start("controller", "controller", "--listen", page, "--check-after", "1s")
        controller.await_ready(lambda: "listening" in controller.tail(), PATIENCE)
        print("\nA run is submitted, to the same PULLER_STORE; one host is its canary. This returns at once:")
        desk = self._environment("controller")
        demo.run(self._folder, desk, 0, "submit", "images.txt", "--hosts", "hosts.txt", "--canary", "1")
        if not wait_until(self._all_but_one, PATIENCE):
            raise WorldError(f"the run does not go on:\n{controller.tail()}")
        print(f"\nA moment later. The tasks of {OFF} wait in its queue:")
        demo.run(self._folder, desk, ExitCode.HOSTS_UNREACHABLE, "status")
        print(f"\n{OFF} is switched on, and catches up:")
        self._work(OFF)
        demo.run(self._folder, desk, 0, "watch")
        if sys.stdin.isatty():
            with suppress(EOFError):
                input(f"\nThe page is http://{page}/ until you press Enter.")

    def _push(self, repository: str, tag: str) -> str:
        return push_image(self._registry, repository, tag, [layer(f"{repository} {tag}", BYTES)]).reference

    def _file(self, name: str, lines: Sequence[str]) -> None:
        (self._folder / name).write_text("".join(f"{line}\n" for line in lines))
        demo.show("cat", name)
        print(*lines, sep="\n")

    def _work(self, host: str) -> None:
        self._start(host, "worker", "--jobs", "2")

    def _start(self, account: str, *words: str) -> Process:
        """Start puller in the background."""
        print(f"\n{account}$ puller", *words, "&", flush=True)
        process = Process([str(demo.program()), *words], self._folder / f"{account}.log", self._environment(account))
        self._processes.append(process)
        return process

    def _environment(self, account: str) -> dict[str, str]:
        """Return the environment of a host, or of the user's desk, with the address that was made for its account."""
        name, _, url = (self._folder / "accounts" / f"{account}.env").read_text().splitlines()[-1].partition("=")
        home = self._folder / f"home-{account}"
        home.mkdir(exist_ok=True)
        engine = {"DOCKER_HOST": self._engines[account].host} if account in self._engines else {}
        environment = clean_environment("PULLER_", "DOCKER_", "XDG_", "PYTHONPATH")
        return environment | engine | {name: url, "HOME": str(home), "PULLER_STORE": self._store}

    def _all_but_one(self) -> bool:
        with closing(Store(self._store)) as store:
            states = {host.name: host.state for host in store.hosts(store.find("1").name)}
        return states == dict.fromkeys(HOSTS, HostState.DONE) | {OFF: HostState.DEFERRED}


def _end(process: Process) -> None:
    """End puller and its children: a worker waits for the pulls in flight, if there are any."""
    process.terminate()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(demo.main("fleet-demo", main))
