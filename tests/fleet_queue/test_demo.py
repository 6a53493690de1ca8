"""scripts/fleet-demo queue: the demonstration shows what it promises, and leaves nothing."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.fleet_queue.conftest import ROOT
from tests.lab import WorldError, brokers


def test_the_demonstration_goes_as_planned() -> None:
    """The report without it comes before the one with it; no process and no file is left."""
    try:
        brokers.parse("installed")
    except WorldError as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory(prefix="demo-") as short:  # the engine's sockets need a short path
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": short}
        done = subprocess.run(
            (sys.executable, "scripts/fleet_queue.py"),
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=115,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert not list(Path(short).iterdir())
        assert not [each for each in Path("/proc").glob("[0-9]*/cmdline") if short in _text(each)]
    shown = [line for line in done.stdout.splitlines() if line.startswith(("$ puller ", "web-3$", "(exit", "3 of 3"))]
    assert [line.split()[2] for line in shown if line[0] == "$"] == ["broker", "submit", "status", "watch"]
    waiting, on, watch, report, code = shown[-5:]
    assert (waiting, on, watch) == ("(exit code 3)", "web-3$ puller worker --jobs 2 &", "$ puller watch")
    assert report.startswith("3 of 3 hosts have all images: 12 pulled")
    assert code == "(exit code 0)"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
