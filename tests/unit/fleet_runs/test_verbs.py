"""The verbs for runs by a broker, with a broker in memory."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from puller.cancellation import Cancellation
from puller.cli import broker_options
from puller.cli.commands import controller as controller_verb, submit as submit_verb
from puller.cli.main import puller
from puller.fleet.queue import worker as queue_worker
from puller.fleet.queue.broker import Broker
from puller.fleet.queue.worker import WorkerOptions
from puller.fleet.runs.controller import Controller
from puller.fleet.runs.model import RunState
from puller.fleet.runs.schema import default_url
from puller.fleet.runs.store import Store
from puller.model import Status
from tests.lab import Registry, push_image
from tests.lab.fake_broker import FakeBroker
from tests.lab.samples import DIGEST
from tests.lab.schemas import assert_fits

BROKER = "amqps://controller:secret@broker.example"
IMAGE = f"reg.example/app:1@{DIGEST}"


class Desk:
    """The command line of one user, and the broker that it finds at any URL."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.broker = folder, FakeBroker(["a", "b"])
        (folder / "hosts.txt").write_text("ssh://a\nssh://b\nssh://c\n")
        (folder / "images.txt").write_text(f"{IMAGE}\n")

    def run(self, *arguments: str) -> Result:
        """Run a verb; no traceback ever reaches a user."""
        found = CliRunner().invoke(puller, [*arguments], standalone_mode=False)
        assert found.exception is None or str(found.exception), found.exc_info
        return found

    def code(self, found: Result) -> int:
        """Return the exit code of a verb that ended without an exception."""
        assert found.exception is None, found.exception
        return int(found.return_value or 0)

    def submit(self, *more: str) -> str:
        """Submit the list, and return the name of the run."""
        lists = (str(self.folder / "images.txt"), "--hosts", str(self.folder / "hosts.txt"))
        found = self.run("submit", *lists, *more)
        assert self.code(found) == 0
        return found.stdout.strip()

    def control(self, until: Callable[[Store], bool]) -> None:
        """Run a controller until the store is as wanted."""
        store, cancel = Store(default_url()), Cancellation()

        def tick() -> None:
            if until(store):
                cancel.cancel("as wanted")

        self.broker.on_tick = tick
        Controller(store, lambda: self.broker, say=lambda _: None).serve(cancel)
        store.close()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Have no run, three hosts of which two are online, and one image."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith("PULLER_")]:
        monkeypatch.delenv(name)
    made = Desk(tmp_path)

    def connect(_options: object) -> Broker:
        return made.broker

    monkeypatch.setattr(submit_verb, "connect_broker", connect)
    monkeypatch.setattr(controller_verb, "connect_broker", connect)
    return made


def settled(store: Store) -> bool:
    """Tell whether only the host that is offline lacks its image."""
    (run,) = store.runs()
    return store.counts(run.name).images.get(Status.PULLED) == 2 and not store.counts(run.name).hosts.get("running")  # type: ignore[call-overload]


def test_submit_returns_at_once_and_status_tells_the_rest(desk: Desk) -> None:
    """The name of the run is on standard output; the first wave is published without a controller."""
    name = desk.submit("--broker", BROKER)
    assert {task.host for task in desk.broker.published} == {"a", "b", "c"}
    assert desk.run("status").stdout.startswith(f"run {name} of ")
    pending = desk.run("status", name)
    assert (desk.code(pending), "3 pending" in pending.stdout) == (75, True)
    assert f"puller watch {name}" in pending.stdout
    desk.control(settled)
    done = desk.run("status", "1")
    assert (desk.code(done), "2 of 3 hosts have all images, 1 deferred" in done.stdout) == (3, True)
    assert "\ndeferred: c: no worker of this host is connected to the broker" in done.stdout
    assert "`puller worker` runs there" in done.stdout
    offline = desk.run("status", "1", "--offline", "--format", "json")
    document = json.loads(offline.stdout)
    assert_fits(document, "report")
    assert [host["name"] for host in document["fleet"]["hosts"]] == ["c"]
    assert desk.code(offline) == 3
    assert "no worker of this host" in document["fleet"]["hosts"][0]["error"]["message"]


def test_the_policy_of_a_run_is_in_its_tasks(desk: Desk) -> None:
    """Of an image that a Compose file wants if it is missing, that is the policy; for a digest it means the same."""
    services = "services: {a: {image: '%s', pull_policy: missing}, b: {image: '%s'}}"
    with Registry() as registry:
        images = [f"{registry.address}/{push_image(registry, name).repository}:v1" for name in ("a", "b")]
        (desk.folder / "compose.yaml").write_text(services % tuple(images))
        lists = (str(desk.folder / "compose.yaml"), f"--image={IMAGE}", "--host", "a", "--broker", BROKER)
        for policy in ("newer", "missing", "always"):
            assert desk.code(desk.run("submit", *lists, "--policy", policy)) == 0
    policies = [task.policy.value for task in desk.broker.published]
    assert policies == ["missing", "newer", "newer", "missing", "missing", "newer", *["always"] * 3]
    assert all("@sha256:" in task.reference for task in desk.broker.published)


def test_a_worker_has_the_settings_of_its_host(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """From flags and files; the table of a registry is used too."""
    served: list[WorkerOptions] = []
    monkeypatch.setattr(queue_worker, "serve", served.append)
    file = desk.folder / "worker.toml"
    file.write_text('[worker]\nretries = 7\n[registry."docker.io"]\nmirrors = ["mirror.example"]\n')
    words = ("--broker", "amqps://a:secret@broker.example", "--timeout", "90s", "--mirror", "quay.io=mirror.example/q")
    assert desk.code(desk.run("worker", "-c", str(file), *words)) == 0
    settings = served[0].engine.settings
    assert (settings.retry.retries, settings.timeouts.attempt) == (7, 90.0)
    found = {name: each.mirrors for name, each in settings.registries.items()}
    assert found == {"docker.io": ("mirror.example",), "quay.io": ("mirror.example/q",)}


def test_every_report_of_a_run(desk: Desk) -> None:
    """The grid, JUnit, metrics: as of any other run."""
    desk.submit("--broker", BROKER)
    desk.control(settled)
    words = {
        "text": "deferred", "json": '"deferred"', "junit": "<testsuite", "markdown": "**deferred**",
        "prometheus": 'puller_last_run_hosts{list="",state="deferred"} 1.0', "failed": "", "html": 'class="deferred"',
    }  # fmt: skip
    for form, word in words.items():
        found = desk.run("status", "1", "--format", form)
        assert (desk.code(found), word in found.stdout) == (3, True), form


def test_pause_resume_cancel_retry(desk: Desk) -> None:
    """Each is one line on standard error, and one in the store."""
    name = desk.submit()
    for verb, words in (
        ("pause", f"{name} is paused"),
        ("resume", f"{name} goes on"),
        ("cancel", f"{name} is cancelled: 3 pulls without a result"),
        ("retry", f"3 pulls of {name} will be published again"),
    ):
        found = desk.run(verb, "1")
        assert (desk.code(found), found.stdout, found.stderr) == (0, "", f"puller: {words}\n")
    assert str(desk.run("resume", "1").exception) == f"run {name} is not paused: it is running"
    assert str(desk.run("pause", "9").exception) == "there is no run 9: the store has 1 run"


def test_runs_are_listed(desk: Desk) -> None:
    """As a table and as JSON."""
    assert desk.run("runs").stderr == "puller: the store has no runs\n"
    name = desk.submit("--broker", BROKER)
    desk.control(settled)
    lines = desk.run("runs").stdout.splitlines()
    assert lines[1].split()[:1] + lines[1].split()[3:8] == [name, "running", "2/3", "2/3", "0", "1"]
    document = json.loads(desk.run("runs", "--format", "json").stdout)
    assert_fits(document, "runs")
    assert document["runs"][0]["hosts"]["deferred"] == 1


def test_runs_are_removed(desk: Desk) -> None:
    """Those that are over, after a question; without a terminal `--yes` is the answer."""
    over, goes_on = desk.submit(), desk.submit("--broker", BROKER)
    desk.run("cancel", over)
    assert "no such runs" in desk.run("runs", "--older-than", "30d").stderr
    assert "not a terminal" in str(desk.run("runs", "2", "--remove").exception)
    assert "needs a RUN" in str(desk.run("runs", "--remove", "--yes").exception)
    assert f"run {goes_on} is not over" in str(desk.run("runs", goes_on, "--remove", "--yes").exception)
    assert "has not taken back" in str(desk.run("runs", over, "--remove", "--yes").exception)
    desk.control(lambda store: not store.run(over).withdraw)
    assert over in desk.run("runs", "--older-than", "0").stdout
    removed = desk.run("runs", "--older-than", "0", "--remove", "--yes")
    assert (over in removed.stdout, removed.stderr) == (True, "puller: 1 run removed\n")
    assert [line.split()[0] for line in desk.run("runs").stdout.splitlines()] == ["RUN", goes_on]


def test_submit_with_watch_ends_with_the_report(desk: Desk) -> None:
    """Its exit code is that of `puller fleet pull`."""
    (desk.folder / "hosts.txt").write_text("ssh://a\nssh://b\n")
    done = lambda store: bool(store.runs()) and store.runs()[0].state is RunState.FINISHED  # noqa: E731 - a condition
    thread = threading.Thread(target=desk.control, args=(done,))
    thread.start()
    found = desk.run("submit", str(desk.folder / "images.txt"), "--hosts", str(desk.folder / "hosts.txt"), "--watch")
    thread.join(60)
    assert desk.code(found) == 0
    assert "2 of 2 hosts have all images: 2 pulled" in found.stdout
    assert "[2/2] done" in found.stderr


def test_watch_ends_with_a_signal_and_the_run_goes_on(desk: Desk) -> None:
    """Ctrl-C is for the display only."""
    name = desk.submit()
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    found = desk.run("watch", name)
    assert desk.code(found) == 130
    assert f"the run goes on; `puller watch {name}` follows it again" in found.stderr


def test_a_tag_without_a_digest_is_not_submitted(desk: Desk) -> None:
    """Every host must get the same bytes."""
    found = desk.run("submit", "--image", "127.0.0.1:1/x:1", "--hosts", str(desk.folder / "hosts.txt"))
    assert (desk.code(found), found.stdout) == (75, "")
    assert "127.0.0.1:1/x:1: its digest is not known: connection refused" in found.stderr
    assert found.stderr.count("→ ") == 1
    assert desk.run("runs").stderr == "puller: the store has no runs\n"


def test_a_broker_that_is_gone_is_left_to_the_controller(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is submitted all the same."""

    def refuse(_options: object) -> Broker:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(submit_verb, "connect_broker", refuse)
    lists = (str(desk.folder / "images.txt"), "--hosts", str(desk.folder / "hosts.txt"))
    found = desk.run("submit", *lists, "--broker", BROKER)
    assert desk.code(found) == 0
    assert "the broker did not take the first tasks: connection refused" in found.stderr
    desk.control(settled)
    assert desk.code(desk.run("status", "1")) == 3


def test_a_controller_ends_with_a_signal(desk: Desk) -> None:
    """What it did is in the store."""
    name = desk.submit()

    def stop() -> None:
        time.sleep(2.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    found = desk.run("controller", "--broker", BROKER, "--listen", "127.0.0.1:0")
    assert desk.code(found) == 143
    assert "listening on http://127.0.0.1:" in found.stderr
    assert f"{name}: wave 1: 3 hosts" in found.stderr
    assert desk.code(desk.run("status", "1")) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("controller",), "no broker given"),
        (("controller", "--broker", "x", "--listen", "0.0.0.0:80"), "is not 127.0.0.1:PORT"),
        (("status", "1", "--store", "mysql://x"), "mysql is neither sqlite nor postgresql"),
        (("submit",), "no hosts given"),
        (("submit", "--image", "x", "--host", "a", "--wave", "0"), "'0' is not a number of hosts"),
        (("submit", "--image", "x", "--host", "unix:///var/run/x"), "is no name of a host at a broker"),
        (("pause",), "Missing argument 'RUN'"),
    ],
)
def test_bad_usage_is_one_clear_line(desk: Desk, arguments: tuple[str, ...], words: str) -> None:
    """What is wrong, and what to do."""
    error: Any = desk.run(*arguments).exception
    assert words in (error.format_message() if hasattr(error, "format_message") else str(error))


def test_without_the_extra_it_says_how_to_install_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of the verbs works without it."""

    def absent(_name: str) -> Any:
        raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy")

    monkeypatch.setattr(broker_options, "import_module", absent)
    words = "this command needs the package sqlalchemy: in a checkout of puller, pip install '.[fleet]'"
    assert str(desk.run("runs").exception) == words
    assert "Usage" in desk.run("submit", "--help").stdout


def test_no_verb_imports_the_library_of_the_database_for_its_help() -> None:
    """Nor does any other: they would start later."""
    program = (
        "import sys\nfrom importlib import import_module\nfrom puller.cli.main import _ALL\n"
        "for name in _ALL: import_module(f'puller.cli.commands.{name}')\n"
        "sys.exit('sqlalchemy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_schema_of_runs_is_valid() -> None:
    """It is published with the package."""
    Draft202012Validator.check_schema(json.loads(Path("puller/schemas/runs.schema.json").read_text()))
