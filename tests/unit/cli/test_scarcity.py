"""A host that gives no more threads or descriptors: the run goes on with fewer, and there is a report."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.lab.fakes import FakeEngine, Script
from tests.lab.program import SECONDS, Program
from tests.lab.second_user import as_root
from tests.unit.cli.test_foreign_engine import CALM, json_answer
from tests.unit.engine.test_api_fake import STATUS_LINE, streaming

IMAGES = 40
LONELY = 64_123
"""A user without any other process, as the limit of processes counts all of a user."""
HELD = json_answer(f'{{"Id": "sha256:{"1" * 64}", "RepoDigests": []}}')
WELL: dict[str, Script] = {**CALM, "/images/create": streaming(STATUS_LINE), "/images/": HELD}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder that every user may write into."""
    with TemporaryDirectory(prefix="puller-scarce-", dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def pull(folder: Path, limit: str, *prefix: str, options: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    """Pull many images of many registries under a limit of the shell."""
    with FakeEngine(folder, WELL) as engine:
        (folder / "engine.sock").chmod(0o777)
        program = Program(folder, {"DOCKER_HOST": engine.host, "HOME": str(folder), "DOCKER_CONFIG": str(folder)})
        listed = program.list(*(f"127.0.0.1:{1 + number % 20}/app{number}" for number in range(IMAGES)))
        options = ("--backend", "api", "--no-lock", "--no-disk-check", "-q", "-j", "8", "--format", "json", *options)
        argv = [*prefix, sys.executable, "-m", "puller", "pull", listed, *options, "--report", "json=o.json"]
        return subprocess.run(
            ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *argv],
            cwd=folder,
            env=program.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def expect_all(done: "subprocess.CompletedProcess[str]", folder: Path) -> None:
    """Expect that every image is there, and no word about Python."""
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    report = json.loads((folder / "o.json").read_text())
    assert json.loads(done.stdout) == report
    assert (done.returncode, report["counts"]["pulled"]) == (0, IMAGES)


@pytest.mark.parametrize("descriptors", [64, 32])
def test_a_run_with_few_descriptors(folder: Path, descriptors: int) -> None:
    """What finds none waits for one."""
    expect_all(pull(folder, f"-n {descriptors}"), folder)


@as_root
@pytest.mark.parametrize("options", [(), ("--prefetch=always",)], ids=["plain", "prefetch"])
def test_a_run_with_few_threads(folder: Path, options: tuple[str, ...]) -> None:
    """It goes on with those it has, and prefetching falls back."""
    user = ("setpriv", "--reuid", str(LONELY), "--regid", str(LONELY), "--clear-groups")
    expect_all(pull(folder, "-u 12", *user, options=options), folder)
