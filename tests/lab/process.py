"""A child process of the world: started quietly, awaited with a bound, ended by its own id."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

POLL_SECONDS = 0.01
ENVIRONMENT = dict(os.environ)
"""As this process was started: what pytest notes in `os.environ` between two tests disturbs threads that copy it."""


class WorldError(Exception):
    """Something of the tests' world is missing, did not start or did not answer."""


def clean_environment(*drop_prefixes: str) -> dict[str, str]:
    """Return the environment without proxies (the world is all loopback) and without the given prefixes."""
    return {
        name: value
        for name, value in ENVIRONMENT.items()
        if not name.lower().endswith("_proxy") and not name.startswith(drop_prefixes)
    }


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll a condition until it holds, at most so many seconds; return whether it did."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def session_of(leader: int) -> list[int]:
    """Find the live processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name, in parentheses, may hold anything: state, parent, group and session come after it.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[3]) == leader:
            found.append(int(folder.name))
    return found


class Process:
    """A daemon in a session of its own, so that Ctrl-C in a test run does not reach it; its output goes to a file."""

    def __init__(self, args: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        """Start the program at once; raises WorldError when it cannot be run."""
        self.log = log
        self.name = os.path.basename(args[0])  # noqa: PTH119 - a name out of an argument, not a path to work on
        with log.open("ab") as output:
            try:
                self._child = subprocess.Popen(
                    args,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    start_new_session=True,
                )
            except OSError as error:
                raise WorldError(f"cannot run {args[0]}: {error.strerror}") from error
        self.pid = self._child.pid

    def alive(self) -> bool:
        """Tell whether the process still runs; a dead one is reaped."""
        return self._child.poll() is None

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of its output, to be shown with an error."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def await_ready(self, probe: Callable[[], bool], seconds: float) -> None:
        """Wait until the probe holds; raises WorldError with the end of the log when it ends or is too slow."""
        wait_until(lambda: not self.alive() or probe(), seconds)
        if not self.alive():
            raise WorldError(f"{self.name} ended with code {self._child.returncode} at its start:\n{self.tail()}")
        if not probe():
            raise WorldError(f"{self.name} was not ready after {seconds:g} s:\n{self.tail()}")

    def terminate(self, grace_seconds: float = 15) -> None:
        """Ask it to end, then make it end; reaped on return."""
        self._child.terminate()
        try:
            self._child.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL); reaped on return."""
        self._child.kill()
        self._child.wait()
