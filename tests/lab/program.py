"""puller as a user runs it: a process of its own, with an environment of its own."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.lab import preloaded
from tests.lab.process import ENVIRONMENT

SECONDS = 120
ROOT = str(Path(__file__).parents[2])


@dataclass(frozen=True)
class Run:
    """How one run ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report on standard output."""
        parsed: dict[str, Any] = json.loads(self.stdout)
        return parsed

    @property
    def images(self) -> list[dict[str, Any]]:
        """What the report says of each image."""
        return list(self.report["images"])


class Running(Protocol):
    """A process of puller's."""

    pid: int

    def ended(self, seconds: float) -> tuple[int, str, str]:
        """Wait for the end; return the exit code and the two streams. Raises subprocess.TimeoutExpired."""


class Fresh:
    """One for which Python was started."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.pid = process.pid
        self._process = process

    def ended(self, seconds: float) -> tuple[int, str, str]:
        """Wait for the end; one that takes too long is killed."""
        with self._process as process:
            try:
                stdout, stderr = process.communicate(timeout=seconds)
            except BaseException:
                process.kill()
                raise
        return process.returncode, stdout, stderr


class Program:
    """Runs this checkout's puller in a folder, with no settings of this machine's docker, puller or CI system.

    Its lines have no times, so that tests can compare them.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Add `environment` to what is left of this machine's."""
        self.folder = folder
        foreign = ("DOCKER_", "PULLER_", "CI", "GITHUB_", "GITLAB_")
        kept = {key: value for key, value in ENVIRONMENT.items() if not key.startswith(foreign)}
        homes = {"XDG_CONFIG_HOME": str(folder / "config-home"), "XDG_STATE_HOME": str(folder / "state")}
        own = {"PYTHONPATH": ROOT, "PULLER_LOG_TIMESTAMPS": "never"} | homes
        self.environment = kept | own | dict(environment)

    def argv(self, *arguments: str, python: Sequence[str] = ()) -> list[str]:
        """Return the command line; `python` are options of the interpreter."""
        return [sys.executable, *python, "-m", "puller", *arguments]

    def list(self, *lines: str, name: str = "images.txt") -> str:
        """Write an image list; return its path."""
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def start(
        self, *arguments: str, python: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start the program, to be waited for or signalled."""
        return self._start(self.argv(*arguments, python=python), environment or {})

    def begin(
        self,
        *arguments: str,
        python: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        session: bool = False,
    ) -> Running:
        """Start the program, by another one if there is a `prefix`, with `session` in a session of its own.

        It is a process of its own, but Python is started for it only where its start is what matters.
        """
        added = dict(environment or {})
        other = self.environment["PYTHONPATH"] != ROOT or any(name.startswith("PYTHON") for name in added)
        fresh = python or prefix or other
        if not fresh and preloaded.serves():
            return preloaded.Started(arguments, self.folder, self.environment | added, session=session)
        return Fresh(self._start([*prefix, *self.argv(*arguments, python=python)], added, session=session))

    def run(self, *arguments: str, python: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Run:
        """Run the program to its end; no traceback ever reaches a user."""
        run = Run(*self.begin(*arguments, python=python, environment=environment).ended(SECONDS))
        assert "Traceback" not in run.stdout + run.stderr
        assert "internal error" not in run.stderr
        return run

    def _start(
        self, argv: Sequence[str], environment: Mapping[str, str], *, session: bool = False
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            env=self.environment | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=session,
        )

    def pull(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Run:
        """Run `puller pull` with a JSON report on standard output."""
        return self.run("pull", "--format", "json", *arguments, environment=environment)
