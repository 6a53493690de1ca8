"""A fleet on this machine: hosts with addresses of their own, each with a Docker Engine and an sshd, and a registry.

A host is a network namespace whose link leads to a bridge in this machine's own network; no address leads out. What
runs in it is started with `nsenter --net=`: `ip netns exec` also mounts /sys anew, where dockerd 20.10 then finds no
cgroups. The files are this machine's, so each host has directories of its own, and its engine a socket of its own.
"""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.engine import Engine
from tests.lab.process import Process, WorldError, clean_environment, wait_until
from tests.lab.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from tests.lab.binaries import EngineBinary

NETWORK = "10.78"
"""The first two numbers of the addresses; the third tells fleets on one machine apart."""
_SSHD_SECONDS = 10.0
_SECRET_KEY = "key"
_KNOWN_HOSTS = "known_hosts"
_SSHD = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel VERBOSE
"""


@cache
def missing() -> str:
    """Say why there can be no fleet on this machine; empty if there can."""
    if os.geteuid():
        return "not root: no network namespaces"
    for program, package in (("ip", "iproute2"), ("nsenter", "util-linux"), ("ssh", "openssh-client")):
        if not shutil.which(program):
            return f"{program} is not installed: apt-get install {package}"
    if not _sshd():
        return "sshd is not installed: apt-get install openssh-server"
    name = f"pf{os.getpid()}"
    try:
        _ip("netns", "add", name)
        try:
            _ip("-n", name, "link", "add", "b0", "type", "bridge")
            _ip("-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        finally:
            _ip("netns", "delete", name)
    except WorldError as error:
        return f"no network namespaces here: {error}"
    return ""


@cache
def cannot_shape() -> str:
    """Say why links cannot be made slow on this machine (tbf in the kernel, tc); empty if they can."""
    if not shutil.which("tc"):
        return "tc is not installed: apt-get install iproute2"
    name = f"pt{os.getpid()}"
    _ip("netns", "add", name)
    try:
        _run(["tc", "-n", name, "qdisc", "add", "dev", "lo", "root", "tbf", *_bucket("50mbit")])
    except WorldError as error:
        return f"the kernel has no tbf: {error}"
    finally:
        _ip("netns", "delete", name)
    return ""


class Host:
    """One host of a fleet."""

    def __init__(self, fleet: Fleet, number: int, binary: EngineBinary | None) -> None:
        """Name the host and its address; nothing is started."""
        self.name = f"host{number}"
        self.address = f"{fleet.prefix}.{10 + number}"
        self.port = 22
        self.folder = fleet.folder / self.name
        self._fleet = fleet
        self._namespace = f"{fleet.label}h{number}"
        self._link = f"{fleet.label}v{number}"
        self._sshd: Process | None = None
        self.engine = Engine(binary, options=[f"--insecure-registry={fleet.prefix}.0/24"])
        enter = ["nsenter", f"--net=/run/netns/{self._namespace}"]
        command = self.engine._command
        self.engine._command = lambda: [*enter, *command()]  # type: ignore[method-assign]
        self._enter = enter

    @property
    def url(self) -> str:
        """The URL for puller."""
        return f"ssh://root@{self.address}:{self.port}{self.engine.socket}"

    @property
    def logins(self) -> int:
        """How many logins its sshd has let in."""
        return self._said("Accepted publickey")

    @property
    def sessions(self) -> int:
        """How many programs were started over its logins."""
        return self._said("Starting session")

    def start(self) -> None:
        """Make the namespace and start both daemons."""
        self.folder.mkdir()
        _ip("netns", "add", self._namespace)
        _ip("-n", self._namespace, "link", "set", "lo", "up")
        _ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self._namespace)
        _ip("link", "set", self._link, "master", self._fleet.bridge, "up")
        _ip("-n", self._namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self._namespace, "link", "set", "eth0", "up")
        self.renew_key()
        shutil.copy(self._fleet.folder / f"{_SECRET_KEY}.pub", self.folder / "authorized_keys")
        self.start_sshd()
        self.engine.start()

    def renew_key(self) -> None:
        """Give the host another key than clients know."""
        for old in self.folder.glob("host_key*"):
            old.unlink()
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "host_key")])

    @property
    def known_line(self) -> str:
        """The line of known_hosts for the host's key."""
        key = (self.folder / "host_key.pub").read_text().split()[:2]
        name = self.address if self.port == 22 else f"[{self.address}]:{self.port}"
        return f"{name} {' '.join(key)}\n"

    def start_sshd(self, *first: str) -> None:
        """Start sshd and wait until it listens; `first` are lines of its configuration, which win over the others."""
        settings = self.folder / "sshd_config"
        words = {"port": self.port, "address": self.address, "folder": self.folder}
        settings.write_text("\n".join((*first, _SSHD.format(**words))))
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        before = self._said("Server listening")
        argv = [*self._enter, _sshd(), "-D", "-e", "-f", str(settings)]
        self._sshd = Process(argv, self.folder / "sshd.log", clean_environment("SSH_"))
        self._sshd.await_ready(lambda: self._said("Server listening") > before, _SSHD_SECONDS)

    def kill_sshd(self) -> None:
        """Kill sshd and all its connections, as when the host is lost."""
        if self._sshd:
            victims = _below(self._sshd.pid)
            self._sshd.kill()
            self._sshd = None
            for pid in victims:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def repair(self) -> None:
        """Undo what a test did to the host: its link, its sshd, its engine."""
        self.set_link(up=True)
        self.kill_sshd()
        self.start_sshd()
        if not self.engine.runs:
            self.engine.start()

    def connections(self) -> int:
        """Count the processes of sshd that serve a connection."""
        return len(_below(self._sshd.pid)) if self._sshd else 0

    def set_link(self, *, up: bool) -> None:
        """Cut the link, or restore it."""
        _ip("link", "set", self._link, "up" if up else "down")

    def cut_off(self, address: str, *, undo: bool = False) -> None:
        """Let the host have no route to an address, or have one again."""
        _ip("-n", self._namespace, "route", "delete" if undo else "add", "unreachable", f"{address}/32")

    def shape(self, rate: str) -> None:
        """Limit what the host sends and receives, such as to `50mbit`."""
        _run(["tc", "qdisc", "replace", "dev", self._link, "root", "tbf", *_bucket(rate)])
        _run(["tc", "-n", self._namespace, "qdisc", "replace", "dev", "eth0", "root", "tbf", *_bucket(rate)])

    def unshape(self) -> None:
        """Let the link be fast again."""
        _run(["tc", "qdisc", "delete", "dev", self._link, "root"])
        _run(["tc", "-n", self._namespace, "qdisc", "delete", "dev", "eth0", "root"])

    @property
    def received(self) -> int:
        """How many bytes its link has brought to the host."""
        return int(Path(f"/sys/class/net/{self._link}/statistics/tx_bytes").read_text())

    @contextmanager
    def small_disk(self, megabytes: int) -> Iterator[None]:
        """Give the engine an empty disk of so many megabytes; afterwards it has its own again."""
        self.engine.kill()
        try:
            _run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "puller", str(self.engine.data_root)])
            self.engine.start()
            yield
        finally:
            self.engine.kill()
            self.engine.start()

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the host's network."""
        return subprocess.run([*self._enter, *argv], capture_output=True, text=True, check=False)

    def stop(self) -> None:
        """End what runs on the host and remove it; harmless when done twice."""
        self.kill_sshd()
        self.engine.stop()
        for command in (("netns", "delete", self._namespace), ("link", "delete", self._link)):
            with suppress(WorldError):
                _ip(*command)

    def _said(self, words: str) -> int:
        try:
            return (self.folder / "sshd.log").read_text(errors="replace").count(words)
        except OSError:
            return 0


class Fleet:
    """Hosts and the registry that they reach at `registry_address`; use it as a context manager."""

    def __init__(self, hosts: int = 4, *, binary: EngineBinary | None = None) -> None:
        """Name everything after this process, so that several runs can share the machine."""
        number = os.getpid() % 250
        self.label = f"p{os.getpid() % 100000}"
        self.prefix = f"{NETWORK}.{number}"
        self.bridge = f"{self.label}b"
        self.folder = Path(tempfile.mkdtemp(prefix="puller-fleet-"))
        self.folder.chmod(0o755)
        self.hosts = [Host(self, each, binary) for each in range(1, hosts + 1)]
        self.registry = Registry()
        self.registry_address = ""
        atexit.register(self.stop)

    def __enter__(self) -> Self:
        """Start everything; raises WorldError, and leaves nothing behind, where that is not possible."""
        if why := missing():
            raise WorldError(why)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.stop()

    def _start(self) -> None:
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / _SECRET_KEY)])
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.prefix}.1/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        self.registry.host = f"{self.prefix}.1"
        self.registry.start()
        self.registry_address = self.registry.address
        for host in self.hosts:
            host.start()
        self.trust()

    @contextmanager
    def hidden_registry(self) -> Iterator[Registry]:
        """Start another registry, which this machine reaches and no host does."""
        address = f"{self.prefix}.2"
        _ip("addr", "add", f"{address}/24", "dev", self.bridge)
        registry = Registry()
        registry.host = address
        try:
            for host in self.hosts:
                host.cut_off(address)
            with registry:
                yield registry
        finally:
            _ip("addr", "delete", f"{address}/24", "dev", self.bridge)
            for host in self.hosts:
                host.cut_off(address, undo=True)

    def trust(self) -> None:
        """Let clients know the keys that the hosts have now."""
        (self.folder / _KNOWN_HOSTS).write_text("".join(host.known_line for host in self.hosts))

    def ssh(self, *options: str, config: str = "") -> Path:
        """Write a program `ssh` that uses the fleet's key and known hosts, and return its directory for a PATH.

        It reads no configuration but `config`; its `options` win over puller's.
        """
        place = Path(tempfile.mkdtemp(prefix="bin-", dir=self.folder))
        (place / "config").write_text(config)
        settings = {
            "IdentityFile": self.folder / _SECRET_KEY,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.folder / _KNOWN_HOSTS,
            "GlobalKnownHostsFile": "none",
        }
        words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        fixed = ["-F", str(place / "config"), *words, *options]
        real = shutil.which("ssh") or "ssh"
        program = place / "ssh"
        program.write_text(f'#!/bin/sh\nexec {shlex.join([real, *fixed])} "$@"\n')
        program.chmod(0o755)
        return place

    def stop(self) -> None:
        """End all processes by their ids and remove namespaces, links and files; harmless when done twice."""
        for host in self.hosts:
            host.stop()
        self.registry.stop()
        with suppress(WorldError):
            _ip("link", "delete", self.bridge)
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.stop)


def ssh_processes(words: str) -> list[int]:
    """Find the processes of ssh whose command line has these words, such as an address."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            argv = (folder / "cmdline").read_bytes().split(b"\0")
            if argv[0].endswith(b"ssh") and any(words.encode() in word for word in argv):
                found.append(int(folder.name))
    return found


def nothing_left(words: str, seconds: float = 5.0) -> bool:
    """Wait until no ssh with these words runs."""
    return wait_until(lambda: not ssh_processes(words), seconds)


def _below(pid: int) -> list[int]:
    """Find the children of a process, and theirs."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *_below(child)]
    return found


def _bucket(rate: str) -> list[str]:
    return ["rate", rate, "burst", "64kb", "latency", "50ms"]


def _sshd() -> str:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or ""


def _ip(*arguments: str) -> None:
    _run(["ip", *arguments])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorldError(f"{shlex.join(command)}: {done.stderr.strip()}")
