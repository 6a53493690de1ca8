"""A program with its largest memory: run by a small parent, since a child begins with the peak of who forks it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.preloaded import Started
from tests.lab.process import session_of

_PARENT = """
import json, os, resource, sys
result, *argv = sys.argv[1:]
child = os.fork()
if not child:
    resource.setrlimit(resource.RLIMIT_DATA, (MOST, MOST))
    os.execv(argv[0], argv)
_, status, usage = os.wait4(child, 0)
with open(result, "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_maxrss], file)
""".replace("MOST", str(6 << 30))
"""With more than 6 GB a program would take the machine down, and every other test with it."""
KILLED = -9


@dataclass(frozen=True)
class Measured:
    """How a program ended."""

    code: int
    """`KILLED` after the time limit."""
    seconds: float
    max_rss: int
    """Bytes; 0 for a program that was killed."""
    stdout: str
    stderr: str
    left: tuple[int, ...]
    """Processes of its session that were still alive at its end; they have been killed."""


def measure(argv: Sequence[str], folder: Path, environment: Mapping[str, str], limit: float) -> Measured:
    """Run a program in a session of its own, with its streams in files of the folder; kill it after `limit` seconds."""
    result = folder / "result.json"
    started = time.monotonic()
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-IS", "-c", _PARENT, str(result), *argv],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            left: list[int] = []
        else:
            left = session_of(process.pid)
        finally:
            seconds = time.monotonic() - started
            for pid in session_of(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait()
    code, kilobytes = json.loads(result.read_text()) if result.exists() else (KILLED, 0)
    out, err = ((folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
    return Measured(code, seconds, kilobytes << 10, out, err, tuple(left))


def measure_fork(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], limit: float) -> Measured:
    """Run puller in a process that is forked, which takes less processor time: its start is not what matters."""
    started = time.monotonic()
    run = Started(arguments, folder, environment, session=True)
    try:
        code, out, err = run.ended(limit)
        left = session_of(run.pid)
    except subprocess.TimeoutExpired:
        code, out, err, left = KILLED, "", "", []
    seconds = time.monotonic() - started
    for pid in session_of(run.pid):
        os.kill(pid, signal.SIGKILL)
    return Measured(code, seconds, run.max_rss, out, err, tuple(left))
