"""puller as cron runs it: from an environment with nothing in it, twice at once, killed in the middle."""

import json
import os
import pwd
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from puller.engine.endpoint import EngineAddress
from puller.system.run_lock import RunLock
from tests.lab import Engine, Proxy, Registry, Rule, faults, layer, push_image, wait_until
from tests.lab.program import SECONDS, Run

ROOT = Path(__file__).parents[2]
BARE = "/usr/bin:/bin"


class Cron:
    """Runs puller by `env -i`, with hardly more than cron gives."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "docker"
        self.config.mkdir()
        # What is not cron's leads away from this machine's engine, and from this user's record.
        self.variables = {
            "PATH": BARE,
            "DOCKER_HOST": engine.host,
            "DOCKER_CONFIG": str(self.config),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self.lock = RunLock(EngineAddress("default", engine.host, local=True).identity).path

    @property
    def records(self) -> list[Path]:
        """What the runs have left."""
        return sorted((self.folder / "state/puller/runs").glob("*"))

    def argv(self, *arguments: str) -> list[str]:
        """Return the command line."""
        variables = (f"{name}={value}" for name, value in self.variables.items())
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from puller.cli.main import main; main()"
        return ["env", "-i", *variables, sys.executable, "-c", code, *arguments]

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `puller pull`."""
        return subprocess.Popen(
            self.argv("pull", *arguments),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def pull(self, *arguments: str) -> Run:
        """Run `puller pull` to its end."""
        with self.start(*arguments) as process:
            stdout, stderr = process.communicate(timeout=SECONDS)
        return Run(process.returncode, stdout, stderr)


@pytest.fixture
def cron(engine: Engine, tmp_path: Path) -> Cron:
    """Run puller as cron does."""
    return Cron(engine, tmp_path)


def test_success_is_silent(registry: Registry, cron: Cron, backend: str) -> None:
    """Without HOME and with -q nothing is said, so that cron sends no mail; no lock is left, and the run on record."""
    pushed = push_image(registry, "cron/silent")
    (cron.config / "config.json").write_text('{"credHelpers": {"ghcr.io": "nowhere"}}')
    assert cron.pull("-q", "--image", pushed.reference, "--backend", backend) == Run(0, "", "")
    assert len(cron.records) == 1
    assert not cron.lock.exists()


def test_a_credential_helper_that_cron_cannot_reach_is_named(registry: Registry, cron: Cron) -> None:
    """Before the first pull: file, helper, registry and the cure; in quiet mode when it did harm."""
    pushed = push_image(registry, "cron/helper")
    (cron.config / "config.json").write_text(json.dumps({"credHelpers": {registry.address: "lab"}}))
    line = (
        f"puller: docker-credential-lab is not on the PATH ({BARE}), and {cron.config}/config.json keeps the logins "
        f"for {registry.address} in it: add its directory to the PATH, in a crontab with a line PATH=…"
    )
    run = cron.pull("--image", pushed.reference, "--progress", "plain", "--backend", "cli")
    assert run.stderr.splitlines()[0] == line
    assert cron.pull("-q", "--image", f"{pushed.reference}-not", "--backend", "cli").stderr.splitlines() == [line]


def test_two_runs_at_once_and_a_third_that_heals(registry: Registry, proxy: Proxy, cron: Cron) -> None:
    """The second leaves with 75 and names the first; kill -9 leaves no lock, no half report, and the next run heals."""
    pushed = push_image(registry, "cron/killed", layers=[layer("cron-killed", 200_000)])
    reference, report = pushed.at(proxy.address), cron.folder / "report.json"
    proxy.use(Rule("/blobs/", faults.drip(500, 50), method="GET"))
    arguments = ("-q", "--image", reference, "--report", f"json={report}")
    with ExitStack() as stack:
        first = stack.enter_context(cron.start(*arguments))
        stack.callback(first.kill)
        proxy.wait_for("GET", "/blobs/")
        second = cron.pull(*arguments)
        wait = ("--lock-wait", "2m", "--progress", "quiet", "--format", "json")
        waiting = stack.enter_context(cron.start("--image", reference, *wait))
        stack.callback(first.kill)
        assert waiting.stderr
        said = waiting.stderr.readline()
        proxy.use()
        first.kill()
        assert first.wait(SECONDS) == -signal.SIGKILL
        assert not report.exists()
        stdout, stderr = waiting.communicate(timeout=SECONDS)
    name = pwd.getpwuid(os.geteuid()).pw_name
    assert (second.code, second.stdout) == (75, "")
    assert second.stderr.startswith(f"puller: another run uses this engine: process {first.pid} of {name} since 20")
    assert f"(puller pull {reference})" in second.stderr
    assert f"waits up to 2m00s: another run uses this engine: process {first.pid} of {name} since" in said
    assert (waiting.returncode, stderr) == (0, "")
    (image,) = json.loads(stdout)["images"]
    assert (image["status"], image["digest"]) == ("pulled", pushed.digest)
    assert cron.pull(*arguments) == Run(0, "", "")
    assert json.loads(report.read_text())["ok"]
    assert sorted(path.name for path in cron.folder.iterdir() if path.suffix in {".json", ".tmp"}) == ["report.json"]
    assert [json.loads(path.read_text())["ok"] for path in cron.records] == [True, True]
    assert wait_until(lambda: not cron.lock.exists(), SECONDS)
