"""A real RabbitMQ (Debian's rabbitmq-server) on loopback, with a node name, ports and a home of its own."""

import atexit
import os
import random
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.lab import brokers
from tests.lab.brokers import BrokerBinary
from tests.lab.process import Process, WorldError, clean_environment

START_SECONDS = 90.0
_CONF = """
listeners.tcp.1 = 127.0.0.1:{port}
log.console = false
log.file = {folder}/broker.log
log.file.level = warning
consumer_timeout = 10800000
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 10MB
"""
_TLS = """
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {tls}/ca.pem
ssl_options.certfile = {tls}/broker.pem
ssl_options.keyfile = {tls}/broker-key.pem
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_cert_login_from = common_name
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
"""
_DENIED = """
deprecated_features.permit.transient_nonexcl_queues = false
deprecated_features.permit.global_qos = false
"""
"""What newer brokers will not have any more."""


class RabbitMQ:
    """A broker that belongs to the test, without a service manager; use it as a context manager.

    It begins with the users, queues and permissions of `definitions` (JSON). With `tls`, a folder with `ca.pem`,
    `broker.pem` and `broker-key.pem`, it also takes clients with certificates of that authority. The binary is the
    installed one, unless another is given. Raises WorldError without one.
    """

    def __init__(self, definitions: str, tls: Path | None = None, binary: BrokerBinary | None = None) -> None:
        self.binary = binary or brokers.parse("installed")
        self.directory = Path(tempfile.mkdtemp(prefix="puller-rabbitmq-"))
        self.port, self.tls_port, self._node_port, self._names_port = _free_ports(4)
        self.node = f"puller-{self.port}@localhost"
        self._epmd: Process | None = None
        self._server: Process | None = None
        (self.directory / "definitions.json").write_text(definitions)
        conf = _CONF.format(port=self.port, folder=self.directory)
        conf += _TLS.format(port=self.tls_port, tls=tls) if tls else ""
        conf += "" if self.binary.before_4 else _DENIED
        (self.directory / "rabbitmq.conf").write_text(f"{conf}load_definitions = {self.directory}/definitions.json\n")
        (self.directory / "plugins").write_text("[rabbitmq_auth_mechanism_ssl].\n" if tls else "[].\n")
        erlang = self.binary.link_erlang(self.directory / "erlang")
        self._path = os.pathsep.join([*([str(erlang)] if erlang else []), os.environ.get("PATH", os.defpath)])
        atexit.register(self.stop)

    def __enter__(self) -> Self:
        """Start the broker; raises WorldError, and leaves nothing behind, when it does not come up."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the broker and of the programs that ask it; HOME has the cookie that they share."""
        folder = str(self.directory)
        return clean_environment("RABBITMQ_", "ERL_") | {
            "HOME": folder,
            "PATH": self._path,
            "ERL_CRASH_DUMP": f"{folder}/crash.dump",
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/none.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the broker instead of waiting for it
        }

    def start(self) -> None:
        """Start the broker with the data that it has, and wait until it takes connections; raises WorldError."""
        if self._epmd is None:
            program = shutil.which("epmd", path=self._path) or "epmd"
            epmd = [program, "-address", "127.0.0.1", "-port", str(self._names_port)]
            self._epmd = Process(epmd, self.directory / "epmd.log", self.environment)
        server = [str(self.binary.programs / "rabbitmq-server")]
        self._server = Process(server, self.directory / "server.log", self.environment)
        self._server.await_ready(self._answers, START_SECONDS)

    def kill(self) -> None:
        """End the broker at once (SIGKILL); `start` may follow, the data is kept."""
        if self._server is not None:
            self._server.kill()
            self._server = None

    def stop(self) -> None:
        """End the broker and remove its data; harmless when done twice."""
        for process in (self._server, self._epmd):
            if process is not None:
                process.kill()
        self._server = self._epmd = None
        shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self.stop)

    def control(self, *words: str, stdin: str = "") -> str:
        """Run rabbitmqctl; return its output. Raises WorldError if it fails."""
        done = subprocess.run(
            [str(self.binary.programs / "rabbitmqctl"), *words], env=self.environment, input=stdin,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise WorldError(f"rabbitmqctl {words[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def url(self, user: str, password: str) -> str:
        """Return the address for a user."""
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}/puller"

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(2)
                connection.sendall(b"AMQP\0\0\x09\x01")
                return bool(connection.recv(1))
        except OSError:
            return False


def _free_ports(number: int) -> list[int]:
    """Find ports that no connection takes by itself before the broker listens: these begin at 32768."""
    found: set[int] = set()
    while len(found) < number:
        with suppress(OSError), socket.create_server(("127.0.0.1", random.randrange(20_000, 32_000))) as probe:
            found.add(probe.getsockname()[1])
    return [*found]
