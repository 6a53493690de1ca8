"""scripts/fleet-demo hosts: the demonstration explains itself, and leaves nothing when its terminal is closed."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.lab.fleet import missing

ROOT = Path(__file__).parents[2]


def test_a_closed_terminal_leaves_nothing() -> None:
    """SIGHUP after the first check: no daemon, no file and no network is left."""
    if why := missing():
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="demo-") as short:  # the engine's sockets need a short path
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": short}
        with subprocess.Popen(
            (sys.executable, "scripts/fleet_demo.py"),
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as demo:  # fmt: skip
            assert demo.stdout
            shown = []
            for line in demo.stdout:
                shown.append(line.rstrip())
                if line.startswith("(exit code"):
                    demo.send_signal(signal.SIGHUP)
        assert demo.returncode == 128 + signal.SIGHUP, shown
        commands = [line for line in shown if line.startswith("$ ")]
        assert commands[:2] == ["$ cat hosts.txt", "$ puller fleet check --hosts hosts.txt"]
        assert "4 hosts: 4 reached" in shown
        assert not list(Path(short).iterdir())
        assert not [each for each in Path("/proc").glob("[0-9]*/cmdline") if short in _text(each)]
        assert not list(Path("/run/netns").glob(f"p{demo.pid}h*"))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
