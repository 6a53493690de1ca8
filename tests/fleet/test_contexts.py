"""Hosts by docker contexts and TLS: certificates of the client are used, and a context's ssh is puller's."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.conftest import environment
from tests.fleet.test_check import check
from tests.lab.fleet import Fleet, Host, nothing_left
from tests.lab.program import Program

PORT = 2376


def openssl(folder: Path, *arguments: str) -> None:
    """Run openssl in a directory."""
    subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True)


def certify(folder: Path, name: str, extension: str) -> None:
    """Make a key, and a certificate by the authority of the directory."""
    openssl(
        folder,
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.csr",
        "-subj",
        f"/CN={name}",
    )
    (folder / f"{name}.ext").write_text(extension)
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)


@pytest.fixture
def secure(fleet: Fleet, tmp_path: Path) -> Iterator[tuple[Host, Path]]:
    """Let an engine listen with TLS; it wants certificates of clients, of which a directory has one."""
    host = fleet.hosts[3]
    subject = ("-subj", "/CN=lab-ca", "-addext", "basicConstraints=critical,CA:TRUE")
    openssl(
        tmp_path,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "2",
        *subject,
    )
    certify(tmp_path, "server", f"subjectAltName=IP:{host.address}\nextendedKeyUsage=serverAuth\n")
    certify(tmp_path, "client", "extendedKeyUsage=clientAuth\n")
    given = tmp_path / "certificates"
    given.mkdir()
    for name, source in (("ca", "ca.pem"), ("cert", "client.pem"), ("key", "client.key")):
        (given / f"{name}.pem").write_bytes((tmp_path / source).read_bytes())
    before = host.engine.options
    files = [
        f"--tls{name}={tmp_path}/{file}"
        for name, file in (("cacert", "ca.pem"), ("cert", "server.pem"), ("key", "server.key"))
    ]
    host.engine.kill()
    host.engine.options = (*before, f"--host=tcp://{host.address}:{PORT}", "--tlsverify", *files)
    try:
        host.engine.start()
        yield host, given
    finally:
        host.engine.kill()
        host.engine.options = before
        host.engine.start()


def add_context(configuration: Path, name: str, url: str, certificates: Path | None = None) -> None:
    """Write a docker context."""
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = configuration / "contexts/meta" / identity / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": url}}}))
    if certificates:
        folder = configuration / "contexts/tls" / identity / "docker"
        folder.mkdir(parents=True)
        for file in certificates.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())


def test_contexts_and_variables_have_certificates(fleet: Fleet, secure: tuple[Host, Path], tmp_path: Path) -> None:
    """A context's certificates and those of DOCKER_CERT_PATH open an engine; without them it stays closed."""
    host, certificates = secure
    url, configuration = f"tcp://{host.address}:{PORT}", tmp_path / "docker"
    add_context(configuration, "secure", url, certificates)
    add_context(configuration, "bare", url)
    add_context(configuration, "far", host.url)
    puller = Program(tmp_path, {**environment(fleet, fleet.ssh()), "DOCKER_CONFIG": str(configuration)})
    found = check(puller, "context:secure", "context:bare", "context:far")
    assert {name: each["status"] for name, each in found.items()} == {
        "secure": "reached",
        "bare": "unreachable",
        "far": "reached",
    }
    assert found["bare"]["error"]["kind"] == "tls_config"
    assert found["secure"]["engine_id"] == found["far"]["engine_id"]
    assert nothing_left(host.address)
    puller.environment |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    assert check(puller, url, code=0)[f"{host.address}:{PORT}"]["free_bytes"] is None
    (certificates / "cert.pem").unlink()
    assert check(puller, url)[f"{host.address}:{PORT}"]["status"] == "unreachable"
