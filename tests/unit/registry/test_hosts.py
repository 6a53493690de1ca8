"""Where a registry is, how it is spoken to, and whose certificates are believed."""

import http.server
import shutil
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.errors import FailureKind, RegistryError
from puller.http import TlsSettings
from puller.image.reference import ImageReference
from puller.registry import host as hosts
from puller.registry.client import RegistryClient
from puller.registry.host import Host
from puller.registry.http import may_redirect
from puller.registry.ping import reach
from tests.lab import OCI, Proxy, Pushed, PushedImage, Registry, Rule, faults
from tests.lab.second_user import as_root, as_second_user
from tests.lab.tls import TlsFront
from tests.unit.registry.conftest import named

PLAIN_FIRST, TLS_FIRST, TLS_ONLY = ("http", "https"), ("https", "http"), ("https",)


@pytest.mark.parametrize(
    ("registry", "schemes", "address"),
    [
        ("docker.io", TLS_ONLY, "registry-1.docker.io"),
        ("registry.example:5000", TLS_ONLY, "registry.example:5000"),
        ("localhost", PLAIN_FIRST, "localhost"),
        ("LOCALHOST:5000", PLAIN_FIRST, "LOCALHOST:5000"),
        ("127.8.9.1:5000", PLAIN_FIRST, "127.8.9.1:5000"),
        ("[::1]:5000", PLAIN_FIRST, "[::1]:5000"),
        ("[fd00::1]:5000", TLS_ONLY, "[fd00::1]:5000"),
        ("localhost.example", TLS_ONLY, "localhost.example"),
        ("lab.example:80", TLS_FIRST, "lab.example:80"),
        ("lab.example", TLS_ONLY, "lab.example"),
        ("10.1.2.3:5000", TLS_FIRST, "10.1.2.3:5000"),
        ("11.1.2.3:5000", TLS_ONLY, "11.1.2.3:5000"),
        ("[fd01::7]", TLS_FIRST, "[fd01::7]"),
    ],
)
def test_schemes_and_addresses(registry: str, schemes: tuple[str, ...], address: str) -> None:
    """HTTPS unless it is loopback, or was named insecure by host or by network."""
    host = Host.of(registry, ("Lab.Example:80", "10.0.0.0/8", "fd01::/16", "nonsense/8", "/"))
    assert (host.schemes, host.address, host.insecure) == (schemes, address, schemes != TLS_ONLY)


@pytest.mark.parametrize(
    ("registry", "previous", "url", "may"),
    [
        ("a.example", "https://a.example/", "https://b.example/", True),
        ("a.example", "https://a.example/", "http://a.example/", False),
        ("localhost", "https://localhost/", "http://localhost/", True),
        ("localhost", "http://localhost/", "https://b.example/", True),
        ("localhost", "http://localhost/", "file:///etc/passwd", False),
    ],
)
def test_where_redirects_may_redirect(registry: str, previous: str, url: str, may: bool) -> None:
    """Not out of HTTPS, where it was promised, and not out of HTTP."""
    assert may_redirect(Host.of(registry), previous, url) is may


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch, registry: Registry, image: Pushed) -> None:
    """Are used, except for loopback and for what NO_PROXY names."""
    with Proxy(registry) as elsewhere:
        monkeypatch.setenv("HTTP_PROXY", elsewhere.url)
        monkeypatch.setenv("no_proxy", "direct.invalid")
        with RegistryClient(insecure=["far.invalid:80", "direct.invalid:80"]) as client:
            client.head(named(image))
            assert elsewhere.log == []
            elsewhere.use(
                Rule("", faults.answer(200, {"Docker-Content-Digest": image.digest, "Content-Type": OCI.manifest}))
            )
            assert client.head(ImageReference.parse("far.invalid:80/a")).digest == image.digest
            assert [request.path for request in elsewhere.log] == ["http://far.invalid/v2/a/manifests/latest"]
            with pytest.raises(RegistryError):
                client.head(ImageReference.parse("direct.invalid:80/a"))


@pytest.fixture
def front(registry: Registry, tmp_path: Path) -> Iterator[TlsFront]:
    """Put TLS in front of the registry, with an authority that nobody knows."""
    folder = tmp_path / "front"
    folder.mkdir()
    with TlsFront("127.0.0.1", registry.address, folder) as front:
        yield front


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let loopback be nothing special."""
    monkeypatch.setattr(hosts, "is_loopback", lambda _: False)


def certs_d(tmp_path: Path, registry: str, **files: Path) -> Path:
    """Make a directory as /etc/docker/certs.d is; `ca_crt=` becomes `ca.crt`."""
    folder = tmp_path / "certs.d" / registry
    folder.mkdir(parents=True)
    for name, source in files.items():
        shutil.copy(source, folder / name.replace("_", "."))
    return folder.parent


def test_loopback_may_speak_tls(front: TlsFront, image: Pushed, client: RegistryClient) -> None:
    """With any certificate, after plain HTTP was not answered; remembered for the next time."""
    for _ in range(2):
        assert client.head(named(image, front.address)).digest == image.digest


@pytest.mark.usefixtures("far_away")
def test_an_insecure_registry_may_have_any_certificate(front: TlsFront, image: Pushed) -> None:
    """Or none at all."""
    with RegistryClient(insecure=[front.address, image.address]) as client:
        assert client.head(named(image, front.address)).digest == image.digest
        assert client.head(named(image)).digest == image.digest


@pytest.mark.usefixtures("far_away")
def test_an_unknown_authority_is_not_believed(
    front: TlsFront, image: Pushed, client: RegistryClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Until certs.d, or the environment, names it."""
    reference = named(image, front.address)
    with pytest.raises(RegistryError, match="certificate"):
        client.head(reference)
    with RegistryClient(certificates=certs_d(tmp_path, front.address, ca_crt=front.authority)) as known:
        assert known.head(reference).digest == image.digest
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        with monkeypatch.context() as patch, RegistryClient() as known:
            patch.setenv(variable, str(front.authority))
            assert known.head(reference).digest == image.digest


@pytest.mark.usefixtures("far_away")
def test_plain_http_is_not_believed(image: Pushed, client: RegistryClient) -> None:
    """A registry that was not named insecure is never asked without TLS."""
    with pytest.raises(RegistryError):
        client.head(named(image))


@pytest.mark.usefixtures("far_away")
def test_certificates_that_cannot_be_used(front: TlsFront, image: Pushed, tmp_path: Path) -> None:
    """A certificate without a key, and one that is none, are trouble and no traceback."""
    for name in ("client_cert", "ca_crt"):
        broken = tmp_path / "broken"
        broken.write_text("nonsense")
        folder = certs_d(tmp_path / name, front.address, **{name: broken})
        with RegistryClient(certificates=folder) as client, pytest.raises(RegistryError, match="certificates"):
            client.head(named(image, front.address))


class Strict(http.server.BaseHTTPRequestHandler):
    """Says yes to everybody who could prove who he is."""

    def do_GET(self) -> None:
        """Answer with nothing."""
        self.send_response(204)
        self.end_headers()

    def do_HEAD(self) -> None:
        """Answer with a digest."""
        self.send_response(200)
        self.send_header("Docker-Content-Digest", "sha256:" + "a" * 64)
        self.send_header("Content-Type", OCI.manifest)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class StrictServer(http.server.ThreadingHTTPServer):
    """Wants a certificate of its clients."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Strict)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.address = f"127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.usefixtures("far_away")
def test_a_certificate_of_ours(front: TlsFront, tmp_path: Path) -> None:
    """Is shown to a registry that wants one; without it there is trouble."""
    folder = front.authority.parent
    with StrictServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            reference = ImageReference.parse(f"{server.address}/a")
            authority = certs_d(tmp_path / "1", server.address, ca_crt=front.authority)
            with RegistryClient(certificates=authority) as client, pytest.raises(RegistryError):
                client.head(reference)
            both = certs_d(
                tmp_path / "2",
                server.address,
                ca_crt=front.authority,
                client_cert=folder / "cert.pem",
                client_key=folder / "key.pem",
            )
            with RegistryClient(certificates=both) as client:
                assert client.head(reference).digest == "sha256:" + "a" * 64
            assert reach(server.address, certificates=both)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("far_away")
def test_only_blobs_follow_a_redirect_to_plain_http(registry: Registry, image: PushedImage, tmp_path: Path) -> None:
    """Their digests are checked; a manifest by tag could be anybody's, and is refused with the name of the place."""
    folder = tmp_path / "front"
    folder.mkdir()
    with Proxy(registry) as proxy, TlsFront("127.0.0.1", proxy.address, folder) as front, Proxy(registry) as store:
        reference, blob = named(image, front.address), image.layers[0].digest
        places = {
            kind: f"{store.url}/v2/lab/app/{kind}/{name}" for kind, name in (("blobs", blob), ("manifests", "v1"))
        }
        redirects = {kind: faults.answer(307, {"Location": f"{url}?signature=secret"}) for kind, url in places.items()}
        proxy.use(*(Rule(f"/{kind}/", redirect) for kind, redirect in redirects.items()))
        with RegistryClient(certificates=certs_d(tmp_path, front.address, ca_crt=front.authority)) as client:
            with client.blob(reference, blob) as body:
                assert b"".join(body) == image.layers[0].data
            with pytest.raises(RegistryError, match=r"redirects to 127\.0\.0\.1 without HTTPS$") as caught:
                client.manifest(reference)
        assert caught.value.kind is FailureKind.REDIRECT_REFUSED
        assert [request.header("Authorization") for request in store.log] == [None]


@as_root
def test_a_folder_of_certificates_that_may_not_be_read_is_none(theirs: Path) -> None:
    """Another user's /etc/docker, for example; the file of an authority that may not be read is named."""
    folder = theirs / "certs.d" / "registry.example"
    folder.mkdir(parents=True)
    authority = folder / "ca.crt"
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    folder.chmod(0)
    with as_second_user():
        assert TlsSettings.from_certs_d(folder).authorities == ()
    folder.chmod(0o755)
    authority.chmod(0)
    named_file = pytest.raises(RegistryError, match=r"certs\.d/registry\.example/ca\.crt: Permission denied")
    with as_second_user(), RegistryClient(certificates=folder.parent) as client, named_file as caught:
        client.head(ImageReference.parse("registry.example/a"))
    assert caught.value.kind is FailureKind.TLS_CONFIG


def test_podmans_and_a_users_certificates_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside docker's own: `~/.config/docker/certs.d` and `~/.config/containers/certs.d`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in ("docker", "containers"):
        folder = tmp_path / ".config" / place / "certs.d" / "registry.example"
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    found = Host.of("registry.example").tls().authorities
    assert [path.relative_to(tmp_path).parts[1] for path in found] == ["docker", "containers"]
