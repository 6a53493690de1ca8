"""A real Docker Engine of one's own: private data, private socket, no network rules, gone without a trace."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import mounts
from tests.lab.api import ANSWER_SECONDS, Api
from tests.lab.binaries import EngineBinary, installed
from tests.lab.process import Process, WorldError, clean_environment, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

START_SECONDS = 30.0


class Engine(Api):
    """A dockerd that belongs to the test; use it as a context manager."""

    def __init__(self, binary: EngineBinary | None = None, *, options: Sequence[str] = ()) -> None:
        """Choose a binary (default: the installed one) and further dockerd options; raises WorldError without one."""
        self.binary = binary or installed()
        self.options = tuple(options)
        # A unix socket's path may have 107 bytes at most, and containerd's lie deeper than ours: keep it short.
        self.directory = Path(tempfile.mkdtemp(prefix="puller-"))
        self.data_root = self.directory / "data"
        super().__init__(self.directory / "docker.sock")
        self.host = f"unix://{self.socket}"
        self.log = self.directory / "dockerd.log"
        self._exec_root = self.directory / "exec"
        self._process: Process | None = None
        atexit.register(self.stop)

    def __enter__(self) -> Self:
        """Start the engine; raises WorldError, and leaves nothing behind, when it does not come up."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the engine and remove all it wrote."""
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of dockerd; raises WorldError when it does not run."""
        if self._process is None:
            raise WorldError("the engine is not running")
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it was started, and not stopped or killed by the test."""
        return self._process is not None

    def start(self) -> None:
        """Start dockerd on its data root and wait until it answers; raises WorldError with the end of its log."""
        if self._process is not None:
            raise WorldError("the engine is running already")
        environment = clean_environment("DOCKER_", "CONTAINERD_")
        path = (*map(str, self.binary.path_prefix), "/usr/sbin", "/sbin", os.environ.get("PATH", os.defpath))
        environment["PATH"] = os.pathsep.join(path)
        self._process = Process(self._command(), self.log, environment)
        self._process.await_ready(self._answers, START_SECONDS)
        uses_containerd = "io.containerd.snapshotter.v1" in json.dumps(self.get("/info").get("DriverStatus"))
        if uses_containerd != (self.binary.store == "containerd"):
            raise WorldError(
                f"{self.binary.dockerd} {self.version()} does not offer the {self.binary.store} image store"
            )

    def stop(self) -> None:
        """End dockerd and its containerd, unmount and remove its directory; harmless when done twice."""
        containerd = self._containerd_pid()
        if self._process is not None:
            self._process.terminate()
            self._process = None
        self._end_containerd(containerd)
        mounts.unmount_below(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self.stop)

    def kill(self) -> None:
        """Kill dockerd and its containerd as a crash would (SIGKILL); `start` may follow, the data is kept."""
        containerd = self._containerd_pid()
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._end_containerd(containerd)
        mounts.unmount_below(self.directory)
        # containerd's process id may stay a zombie (nobody here can reap it), and dockerd takes that for a running one.
        for file in (self.directory / "dockerd.pid", self._exec_root / "containerd/containerd.pid"):
            file.unlink(missing_ok=True)

    def cli(self, *args: str, seconds: float = ANSWER_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run the docker command against this engine with a private configuration and no input.

        Raises subprocess.TimeoutExpired after the given seconds, since the command may wait for a login for ever.
        """
        command = ["docker", "--config", str(self.directory / "cli"), "--host", self.host, *args]
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            env=clean_environment("DOCKER_"),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def _command(self) -> list[str]:
        configuration = self.directory / "daemon.json"
        settings: dict[str, object] = {"features": {"containerd-snapshotter": self.binary.store == "containerd"}}
        # Engine 20.10 writes a key into /etc/docker unless told otherwise; newer ones refuse to be told.
        if " 20." in self.binary.version_line():
            settings["deprecated-key-path"] = str(self.directory / "key.json")
        configuration.write_text(json.dumps(settings))
        return [
            str(self.binary.dockerd),
            f"--host={self.host}",
            f"--config-file={configuration}",
            f"--data-root={self.data_root}",
            f"--exec-root={self._exec_root}",
            f"--pidfile={self.directory / 'dockerd.pid'}",
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
            *self.options,
        ]

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/_ping", seconds=5)[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def _containerd_pid(self) -> int | None:
        try:
            pid = int((self._exec_root / "containerd/containerd.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        """Tell whether a live process was started for this engine; a zombie has no command line and is none."""
        try:
            return str(self.directory).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def _end_containerd(self, pid: int | None) -> None:
        if pid is None:
            return
        if not wait_until(lambda: not self._is_ours(pid), 1.0):
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not self._is_ours(pid), 10.0)
