"""The pieces of the world that only the matrix needs do what they say."""

import http.client
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.faults.scene import UNPRIVILEGED, Lab
from tests.faults.table import HEAD, Cells, read, table, write
from tests.lab import Proxy, Rule
from tests.lab.limits import RateLimit
from tests.lab.names import NameServer
from tests.lab.seclusion import ADDRESS, secluded
from tests.lab.tls import TlsFront


def ask(address: str, agent: str = "docker") -> http.client.HTTPResponse:
    """Ask a registry how it is."""
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request("GET", "/v2/", headers={"User-Agent": agent})
        return connection.getresponse()
    finally:
        connection.close()


def test_nothing_leads_out_of_the_corner(lab: Lab) -> None:
    """Inside there is one address more, and neither the machine's loopback nor a route; outside nothing has changed."""
    host, _, port = lab.registry.address.partition(":")

    def inside() -> list[str]:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))
        with pytest.raises(OSError, match="unreachable"):
            socket.create_connection(("192.0.2.1", 80))
        return subprocess.run(["ip", "-br", "address"], capture_output=True, text=True, check=True).stdout.splitlines()

    (loopback,) = secluded(inside)
    assert ADDRESS in loopback
    assert ADDRESS not in subprocess.run(["ip", "address"], capture_output=True, text=True, check=True).stdout
    socket.create_connection((host, int(port))).close()


def test_no_name_is_known_in_the_corner() -> None:
    """Whoever asks for a name is told at once that there is no such one."""

    def inside() -> subprocess.CompletedProcess[str]:
        with NameServer(ADDRESS):
            return subprocess.run(
                ["getent", "ahosts", "registry.example"], capture_output=True, text=True, check=False, timeout=20
            )

    assert secluded(inside).returncode == 2


def test_a_certificate_is_good_for_those_who_know_its_authority(lab: Lab, tmp_path: Path) -> None:
    """The front speaks TLS, to those who do not trust it only until they see its certificate."""
    with TlsFront("127.0.0.1", lab.registry.address, tmp_path) as front:
        trusting = ssl.create_default_context(cafile=front.authority)
        connection = http.client.HTTPSConnection(front.address, timeout=20, context=trusting)
        connection.request("GET", "/v2/")
        assert connection.getresponse().status == 200
        connection.close()
        stranger = http.client.HTTPSConnection(front.address, timeout=20, context=ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", "/v2/")
        stranger.close()


def test_a_limit_holds_for_its_time(lab: Lab) -> None:
    """Refused until Retry-After is over, however often one asks; then a window may open again, or not."""
    with Proxy(lab.registry, [Rule("", RateLimit(0.3, 1))]) as proxy:
        refused = ask(proxy.address)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert ask(proxy.address, "puller/1").status == 429
        proxy.closing.wait(0.4)
        assert ask(proxy.address).status == 200
        proxy.use(Rule("", RateLimit(60)))
        assert ask(proxy.address, "puller/1").status == 200
        assert ask(proxy.address).status == 429


def test_the_mode_of_a_file_applies_to_the_unprivileged(tmp_path: Path) -> None:
    """Root without its capabilities cannot read what belongs to somebody else."""
    file = tmp_path / "locked"
    file.write_text("")
    shutil.chown(file, 65534, 65534)
    file.chmod(0o600)
    assert subprocess.run([*UNPRIVILEGED, "cat", str(file)], capture_output=True, check=False).returncode == 1
    assert subprocess.run(["cat", str(file)], capture_output=True, check=False).returncode == 0


def test_a_new_run_replaces_its_own_rows(tmp_path: Path) -> None:
    """The page keeps what was not played anew, as long as there is such a case."""

    def row(store: str, kind: str, case: str = "missing tag") -> Cells:
        return (case, store, "api", kind, *("x",) * (len(HEAD) - 4))

    page = tmp_path / "docs/page.md"
    write(page, [row("graph", "old")])
    write(page, [row("containerd", "other"), row("graph", "gone", "no such case")])
    write(page, [row("graph", "new")])
    assert read(page) == [row("graph", "new"), row("containerd", "other")]
    assert table(read(page)) in page.read_text()
