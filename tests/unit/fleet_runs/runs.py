"""A run by a broker in memory, step by step, with a clock that tests set."""

from collections.abc import Callable, Sequence
from pathlib import Path

from puller.fleet.hosts import FleetHost
from puller.fleet.runs.dispatcher import Dispatcher, Patience
from puller.fleet.runs.model import RunOptions, RunRecord
from puller.fleet.runs.recorder import Recorder
from puller.fleet.runs.report import report_of_run
from puller.fleet.runs.store import Store
from puller.fleet.waves import parse_waves
from puller.model import PullRequest, Report, RunDetails
from puller.settings import FailureLimit
from tests.lab.fake_broker import FakeBroker
from tests.lab.samples import DIGEST, request

BEGAN = 1_800_000_000.0


def fleet(number: int) -> list[FleetHost]:
    """Name hosts `h00`, `h01`, and so on."""
    return [FleetHost(f"h{at:02}", f"ssh://h{at:02}") for at in range(number)]


def pinned(*names: str) -> list[tuple[PullRequest, str]]:
    """Return images with a digest each."""
    return [(request(name), DIGEST) for name in names or ("app:1", "db:2")]


def options(canaries: int = 0, waves: str = "", max_fail: str = "") -> RunOptions:
    """Read the options of the command line."""
    return RunOptions(canaries, parse_waves(waves) if waves else (), FailureLimit.parse(max_fail) if max_fail else None)


class World:
    """A store, a broker, and a controller that does one step when told to."""

    def __init__(self, folder: Path, broker: FakeBroker, url: str = "", patience: Patience | None = None) -> None:
        self.store = Store(url or f"sqlite:///{folder / 'fleet.db'}")
        self.broker = broker
        self.now = BEGAN
        self.said: list[str] = []
        self.patience = patience
        self.restart()

    def restart(self) -> None:
        """Be another controller, which knows nothing."""
        self.dispatcher = Dispatcher(self.store, self.broker, say=self.said.append, patience=self.patience)
        self.recorder = Recorder(self.store, refused=self.said.append, clock=lambda: self.now)

    def add(self, number: int = 3, how: RunOptions | None = None, *names: str, seconds: float = 86_400.0) -> str:
        """Submit a run."""
        details = RunDetails(lists=("images.txt",), command="puller submit images.txt")
        return self.store.add(fleet(number), pinned(*names), how or options(), details, seconds=seconds, now=self.now)

    def step(self, seconds: float = 6.0) -> None:
        """Let time pass, and do what is due."""
        self.now += seconds
        for run in self.store.runs(unfinished=True):
            self.dispatcher.step(run, self.now)

    def record(self) -> None:
        """Record what the workers have sent."""
        self.broker.ticks = 1
        for delivery in self.broker.results():
            self.recorder.add(delivery)
        self.recorder.flush()

    def turn(self, times: int = 1) -> None:
        """Publish, pull and record, so many times, and do what follows."""
        for _ in range(times):
            self.step()
            self.broker.work()
            self.record()
        self.step()

    def run(self, name: str) -> RunRecord:
        """Return a run as it is now."""
        return self.store.run(name)

    def report(self, name: str) -> Report:
        """Return its report."""
        return report_of_run(self.store, self.run(name), self.now)

    def states(self, name: str) -> dict[str, str]:
        """Return the state of each host."""
        return {host.name: host.state.value for host in self.store.hosts(name)}


Make = Callable[..., World]
"""Makes a world of hosts that are online."""


def names(hosts: Sequence[FleetHost]) -> list[str]:
    """Return their names."""
    return [host.name for host in hosts]
