"""A real registry (Debian's docker-registry) on a free loopback port, with a storage folder of its own."""

from __future__ import annotations

import atexit
import json
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from tests.lab.process import Process, WorldError, clean_environment
from tests.lab.storage import Storage

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

START_SECONDS = 20.0
PORT_ATTEMPTS = 5
_LEAN = {"GOGC": "400"}
_LEAN_SETTINGS = {"log": {"level": "error", "accesslog": {"disabled": True}}}


@dataclass(frozen=True)
class Account:
    """A user of a registry, with the line of an htpasswd file (bcrypt) that lets it in."""

    user: str
    password: str
    htpasswd: str


# The hash is kept ready because Python's standard library is about to lose the only bcrypt it had.
LAB_ACCOUNT = Account("lab", "lab-password", "lab:$2b$05$abcdefghijklmnopqrstuuL/Ej5MNdcjasz4Sr7bjTMIxZn.WGpgG\n")


class Registry:
    """A docker-registry that belongs to the test; use it as a context manager."""

    def __init__(self, account: Account | None = None, *, lean: bool = False) -> None:
        """Prepare a registry which lets everybody in, or only the given account.

        A `lean` one logs nothing and tidies its memory up less often: in a benchmark it shares the processors with
        those who are measured, which no user's registry does. It remembers blobs, as Debian's own configuration has it.
        """
        self.account = account
        self.host = "127.0.0.1"
        self.lean = lean
        self.directory = Path(tempfile.mkdtemp(prefix="puller-"))
        self.log = self.directory / "registry.log"
        self.address = ""
        self.session = requests.Session()
        # Neither a proxy nor a .netrc of the machine has a say in what happens on loopback.
        self.session.trust_env = False
        if account:
            self.session.auth = (account.user, account.password)
        self.storage = Storage(self.directory / "storage")
        self._process: Process | None = None
        atexit.register(self.stop)

    def __enter__(self) -> Self:
        """Start the registry; raises WorldError, and leaves nothing behind, when it does not come up."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the registry and remove its storage."""
        self.stop()

    @property
    def url(self) -> str:
        """Where its API begins, without a slash at the end."""
        return f"http://{self.address}"

    def start(self) -> None:
        """Start docker-registry and wait until it answers; raises WorldError with the end of its log."""
        program = shutil.which("docker-registry")
        if program is None:
            raise WorldError("docker-registry is not installed: apt-get install docker-registry")
        # Between finding a free port and using it another process may take it: then try the next one.
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self.address = f"{self.host}:{_free_port(self.host)}"
            environment = clean_environment("REGISTRY_") | (_LEAN if self.lean else {})
            self._process = Process([program, "serve", str(self._configuration())], self.log, environment)
            try:
                self._process.await_ready(self._answers, START_SECONDS)
            except WorldError:
                self._process.terminate()
                if attempt == PORT_ATTEMPTS or "address already in use" not in self._process.tail():
                    raise
            else:
                return

    def stop(self) -> None:
        """End the registry and remove its storage; harmless when done twice."""
        if self._process is not None:
            self._process.terminate()
            self._process = None
        self.session.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self.stop)

    def _configuration(self) -> Path:
        storage: dict[str, object] = {
            "filesystem": {"rootdirectory": str(self.directory / "storage")},
            "delete": {"enabled": True},
        }
        settings: dict[str, object] = {
            "version": 0.1,
            "storage": storage,
            "http": {"addr": self.address},
        }
        if self.lean:
            settings |= _LEAN_SETTINGS
            storage["cache"] = {"blobdescriptor": "inmemory"}
        if self.account:
            users = self.directory / "htpasswd"
            users.write_text(self.account.htpasswd)
            settings["auth"] = {"htpasswd": {"realm": "lab", "path": str(users)}}
        file = self.directory / "registry.yml"
        # JSON is YAML.
        file.write_text(json.dumps(settings))
        return file

    def _answers(self) -> bool:
        try:
            return self.session.get(f"{self.url}/v2/", timeout=5).ok
        except requests.RequestException:
            return False


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])
