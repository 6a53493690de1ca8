"""An engine behind TLS, as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH lead to it, with both backends."""

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.conftest import Puller
from tests.lab import Engine, Registry, parse, push_image


@dataclass(frozen=True)
class TlsEngine:
    """Where it listens, and the certificates of a client that it lets in."""

    host: str
    certificates: Path


def openssl(folder: Path, *args: str) -> None:
    """Run openssl in a folder."""
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    """Make an authority, and one certificate that server and client share."""
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        folder, "req", "-x509", *key, "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=lab-ca"
    )
    openssl(folder, "req", *key, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=127.0.0.1")
    sign = ("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial")
    openssl(folder, *sign, "-out", "cert.pem", "-days", "2", "-extfile", "extensions")


@pytest.fixture(scope="module")
def tls_engine(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsEngine]:
    """Start an engine that listens on a port and wants a certificate."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = [f"--host=tcp://127.0.0.1:{port}", "--tlsverify", f"--tlscacert={folder}/ca.pem"]
    options += [f"--tlscert={folder}/cert.pem", f"--tlskey={folder}/key.pem"]
    with Engine(parse(pytestconfig.getoption("--engine")), options=options):
        yield TlsEngine(f"tcp://127.0.0.1:{port}", folder)


def test_certificates_open_the_engine(
    tls_engine: TlsEngine, registry: Registry, puller: Puller, any_backend: str
) -> None:
    """DOCKER_TLS_VERIFY with DOCKER_CERT_PATH, or with the certificates in DOCKER_CONFIG, reaches the engine."""
    pushed = push_image(registry, "tls/app")
    environment = {"DOCKER_HOST": tls_engine.host, "DOCKER_TLS_VERIFY": "1"}
    arguments = ("--image", pushed.reference, "--backend", any_backend)
    run = puller.pull(*arguments, environment=environment | {"DOCKER_CERT_PATH": str(tls_engine.certificates)})
    assert (run.code, run.images[0]["digest"]) == (0, pushed.digest)
    run = puller.pull(*arguments, environment=environment | {"DOCKER_CONFIG": str(tls_engine.certificates)})
    assert (run.code, run.images[0]["status"]) == (0, "up_to_date")


def test_without_a_certificate_the_engine_is_unreachable(tls_engine: TlsEngine, puller: Puller, backend: str) -> None:
    """One line, exit 69."""
    environment = {"DOCKER_HOST": tls_engine.host, "DOCKER_TLS_VERIFY": "1"}
    run = puller.pull("--image", "nginx", "--backend", backend, environment=environment)
    assert (run.code, len(run.stderr.splitlines())) == (69, 1)
