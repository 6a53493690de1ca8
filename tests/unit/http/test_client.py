"""Requests against real servers: bodies as they come, limits, an end from any thread, TLS, proxies, Unix sockets."""

import json
import os
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from puller.http import HttpClient, HttpError, HttpErrorKind, TlsSettings
from puller.http.proxies import ProxyVariables
from tests.lab import Registry
from tests.lab.http_server import saying, serving
from tests.lab.tls import TlsFront

ANYBODY = TlsSettings(verify=False)
MIB = 1 << 20


@pytest.fixture
def client() -> Iterator[HttpClient]:
    """Make a client that is soon at the end of its patience."""
    with HttpClient(connect=2, read=2) as client:
        yield client


def failure(client: HttpClient, url: str, tls: TlsSettings = ANYBODY) -> HttpError:
    """Ask, and get no answer."""
    with pytest.raises(HttpError) as caught:
        client.send("GET", url, tls=tls).read(MIB)
    return caught.value


def answer(body: bytes, length: int | None = None) -> bytes:
    """Write an answer that announces so many bytes."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body) if length is None else length, body)


def test_a_body_comes_as_fast_as_it_is_read() -> None:
    """What nobody reads stays in the kernel and with the server; a pause of the reader is no silence of the server."""
    sent = 0

    def stream(connection: socket.socket, _: int) -> bool:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        for _number in range(64):
            connection.sendall(bytes(MIB))
            sent += 1
        return False

    with serving(stream) as server, HttpClient(connect=2, read=0.5, receive_buffer=64 << 10) as client:
        with client.send("GET", f"http://{server.address}/") as response:
            length = len(response.next())
            time.sleep(0.8)
            assert sent < 32
            while chunk := response.next():
                length += len(chunk)
        assert length == 64 * MIB


def test_a_body_that_is_left_costs_its_connection(client: HttpClient) -> None:
    """And a small one that is read to its end keeps it."""
    with serving(saying(answer(b"x" * 10))) as server:
        for _ in range(3):
            assert client.send("GET", f"http://{server.address}/").read(100) == b"x" * 10
        assert server.connections == 1
    with serving(saying(answer(b"x", 100))) as server:
        client.send("GET", f"http://{server.address}/").close()
        client.send("GET", f"http://{server.address}/").close()
        assert server.connections == 2


def test_no_more_connections_are_kept_than_allowed() -> None:
    """However many were needed at once."""
    with serving(saying(answer(b"x" * 10))) as server, HttpClient(kept=2) as client:
        url = f"http://{server.address}/"
        for response in [client.send("GET", url) for _ in range(5)]:
            response.read(100)
        assert server.connections == 5
        for response in [client.send("GET", url) for _ in range(3)]:
            response.read(100)
        assert server.connections == 6


def test_limits_of_a_body(client: HttpClient) -> None:
    """Bytes, and seconds for all of it."""

    def drip(connection: socket.socket, _: int) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _number in range(100):
            connection.sendall(b"x")
            time.sleep(0.02)
        return False

    with serving(saying(answer(b"x" * 1000))) as server:
        with pytest.raises(HttpError, match="more than 999 bytes") as caught:
            client.send("GET", f"http://{server.address}/").read(999)
        assert caught.value.kind is HttpErrorKind.TOO_LARGE
    with serving(drip) as server:
        with pytest.raises(HttpError) as caught:
            client.send("GET", f"http://{server.address}/").read(999, seconds=0.2)
        assert caught.value.kind is HttpErrorKind.TOO_SLOW


def test_a_body_that_is_cut(client: HttpClient) -> None:
    """What came before is handed over first."""
    with serving(saying(answer(b"some", 100), stays=False)) as server:
        response = client.send("GET", f"http://{server.address}/")
        assert response.next() == b"some"
        with pytest.raises(HttpError, match="unexpected EOF") as caught:
            response.next()
        assert caught.value.kind is HttpErrorKind.CUT


def test_a_silent_server_is_left_at_once_from_another_thread() -> None:
    """Before the headers, in the body, and while it does not even accept."""

    def silent(connection: socket.socket, _: int) -> bool:
        connection.recv(1)
        return False

    def half(connection: socket.socket, _: int) -> bool:
        connection.sendall(answer(b"x", 100))
        connection.recv(1)
        return False

    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.create_connection(full.getsockname()),
        serving(silent) as first,
        serving(half) as second,
    ):
        for address in (first.address, second.address, f"127.0.0.1:{full.getsockname()[1]}"):
            client = HttpClient(connect=60, read=60)
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(failure, client, f"http://{address}/")
                time.sleep(0.3)
                begun = time.monotonic()
                client.close()
                assert waiting.result(10).kind is not HttpErrorKind.TIMEOUT
                assert time.monotonic() - begun < 0.5
            assert failure(client, f"http://{address}/").kind is HttpErrorKind.CLOSED


@pytest.mark.parametrize(
    "url", ["", "ftp://a/", "http://", "http://a:b/", "http://[::1/", "http://a b/", "file:///etc/passwd"]
)
def test_what_is_no_address(client: HttpClient, url: str) -> None:
    """Is said to be none, whatever it is."""
    assert failure(client, url).kind is HttpErrorKind.REQUEST


def test_no_header_of_several_lines(client: HttpClient) -> None:
    """A token with a line break would be another header."""
    with pytest.raises(HttpError, match="not one line"):
        client.send("GET", "http://127.0.0.1:1/", {"Authorization": "Bearer a\r\nX: y"})


def test_what_is_sent(client: HttpClient) -> None:
    """No credentials of the URL, no fragment, no encoding but identity; a form as it is."""
    with serving(saying(answer(b""))) as server:
        client.send("GET", f"http://me:secret@{server.address}/a/../b?q=ü#f").read(1)
        client.send("DELETE", f"http://{server.address}/c").read(1)
        client.send("GET", f"http://{server.address}/d").read(1)
        first, *rest = (each.decode() for each in server.questions)
    assert first.startswith("GET /a/../b?q=%C3%BC HTTP/1.1\r\n")
    assert "\r\nAccept-Encoding: identity\r\n" in first
    assert "Authorization" not in first
    assert [each.split(" HTTP")[0] for each in rest] == ["DELETE /c", "GET /d"]


def test_a_unix_socket(tmp_path: Path) -> None:
    """Whatever the environment says of proxies; and one where nobody listens."""
    path = str(tmp_path / "engine.sock")
    with HttpClient(unix_socket=path, proxies=ProxyVariables("http://127.0.0.1:1", "", "")) as client:
        assert failure(client, "http://localhost/").words == "No such file or directory"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()

            def serve() -> None:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer(b"pong"))

            thread = threading.Thread(target=serve)
            thread.start()
            assert client.send("GET", "http://localhost/_ping").read(10) == b"pong"
            thread.join()


def test_more_descriptors_than_select_takes(client: HttpClient) -> None:
    """A process with over 1,024 open files gets its answers like any other."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2048), hard))

    def slow(connection: socket.socket, _: int) -> bool:
        time.sleep(0.3)
        connection.sendall(answer(b"late"))
        return True

    try:
        with ExitStack() as files, serving(slow) as server:
            while files.enter_context(Path(os.devnull).open()).fileno() < 1100:
                pass
            for method, body in (("GET", b"late"), ("HEAD", b""), ("GET", b"late")):
                assert client.send(method, f"http://{server.address}/").read(10) == body
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_ipv6_address(client: HttpClient) -> None:
    """In brackets."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer(b"six"))

        thread = threading.Thread(target=serve)
        thread.start()
        assert client.send("GET", f"http://[::1]:{listening.getsockname()[1]}/").read(10) == b"six"
        thread.join()


class TlsRegistry(Registry):
    """A registry behind TLS of its own, which offers HTTP/2."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @property
    def url(self) -> str:
        """Where its API begins."""
        return f"https://{self.address}"

    def _configuration(self) -> Path:
        file = super()._configuration()
        settings = json.loads(file.read_text())
        tls = {"certificate": f"{self._folder}/cert.pem", "key": f"{self._folder}/key.pem"}
        settings["http"] |= {"tls": tls}
        file.write_text(json.dumps(settings))
        return file

    def _answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/v2/", verify=str(self._folder / "ca.pem"), timeout=5).ok
        return False


@pytest.fixture
def front(registry: Registry, tmp_path: Path) -> Iterator[TlsFront]:
    """Put TLS in front of the registry."""
    with TlsFront("127.0.0.1", registry.address, tmp_path) as front:
        yield front


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """Start a registry."""
    with Registry() as registry:
        yield registry


def test_http_2_where_it_is_offered(front: TlsFront, tmp_path: Path, client: HttpClient) -> None:
    """Over one connection, which is kept."""
    trusted = TlsSettings(authorities=(front.authority,))
    with TlsRegistry(tmp_path) as server:
        for _ in range(3):
            response = client.send("GET", f"{server.url}/v2/", tls=trusted)
            assert (response.status, response.read(10)) == (200, b"{}")
        log = server.log.read_text()
    assert log.count('"GET /v2/ HTTP/2.0" 200') == 3
    sources = {line.split(":")[1] for line in log.splitlines() if "HTTP/2.0" in line and line.startswith("127")}
    assert len(sources) <= 1


def test_http_1_where_it_is_asked_for(front: TlsFront, tmp_path: Path, client: HttpClient) -> None:
    """Blobs come over HTTP/1.1 from a server that offers HTTP/2, too, and other requests of the same client do not."""
    trusted = TlsSettings(authorities=(front.authority,))
    with TlsRegistry(tmp_path) as server:
        for http1 in (True, False, True):
            assert client.send("GET", f"{server.url}/v2/", tls=trusted, http1=http1).read(10) == b"{}"
        ours = [line for line in server.log.read_text().splitlines() if '"puller/' in line]
    assert [sum(f'"GET /v2/ HTTP/{version}" 200' in line for line in ours) for version in ("1.1", "2.0")] == [2, 1]


def test_whose_certificates_are_accepted(
    front: TlsFront, client: HttpClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those of the system, of the environment's file or folder, and of further files; of anybody where it is said."""
    url = f"https://{front.address}/v2/"
    error = failure(client, url, TlsSettings())
    assert (error.kind, error.verify_code) == (HttpErrorKind.UNTRUSTED, 20)
    assert client.send("GET", url, tls=ANYBODY).read(10) == b"{}"
    assert client.send("GET", url, tls=TlsSettings(authorities=(front.authority,))).read(10) == b"{}"
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        with monkeypatch.context() as patch, HttpClient() as fresh:
            patch.setenv(variable, str(front.authority))
            assert fresh.send("GET", url).read(10) == b"{}"
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(front.authority, folder)
    subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True)
    with monkeypatch.context() as patch, HttpClient() as fresh:
        patch.setenv("SSL_CERT_DIR", str(folder))
        assert fresh.send("GET", url).read(10) == b"{}"
    assert failure(client, url, TlsSettings(authorities=(tmp_path / "none",))).words == "No such file or directory"


def test_a_server_that_is_not_what_it_was_asked_for(front: TlsFront, registry: Registry, client: HttpClient) -> None:
    """A certificate for another name, plain HTTP where TLS was wanted."""
    trusted = TlsSettings(authorities=(front.authority,))
    port = front.address.rpartition(":")[2]
    error = failure(client, f"https://localhost:{port}/", trusted)
    assert (error.kind, error.verify_code) == (HttpErrorKind.UNTRUSTED, 62)
    assert failure(client, f"https://{registry.address}/").kind is HttpErrorKind.TLS


@contextmanager
def relaying(handshake: list[tuple[int, bytes]], upstream: str) -> Iterator[tuple[str, list[bytes]]]:
    """Listen as a proxy that takes so many bytes, answers with others, and then copies both ways."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            host, _, port = upstream.rpartition(":")
            with connection, socket.create_connection((host, int(port))) as server:
                for length, words in handshake:
                    heard.append(connection.recv(length))
                    connection.sendall(words)
                threads = [threading.Thread(target=copy, args=ends) for ends in permutations(connection, server)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", heard
        thread.join()


def permutations(one: socket.socket, other: socket.socket) -> list[tuple[socket.socket, socket.socket]]:
    """Return both directions."""
    return [(one, other), (other, one)]


def copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source ends."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def test_tls_through_a_proxy(front: TlsFront) -> None:
    """The proxy sees the name, and nothing of the answer's headers is the proxy's."""
    connect = [(4096, b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")]
    with relaying(connect, front.address) as (address, heard):
        variables = ProxyVariables("", f"http://ann:s3cr3t@{address}", "")
        with HttpClient(proxies=variables) as client:
            response = client.send("GET", "https://far.invalid/v2/", tls=ANYBODY)
            assert response.read(10) == b"{}"
            assert "x-proxy" not in response.headers
    assert heard[0].startswith(b"CONNECT far.invalid:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " in heard[0]


def test_a_proxy_that_refuses() -> None:
    """Is told as such, without its address."""
    with serving(saying(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")) as server:
        client = HttpClient(proxies=ProxyVariables("", f"http://{server.address}", ""))
        error = failure(client, "https://far.invalid/")
    assert (error.kind, "403" in error.words) == (HttpErrorKind.PROXY, True)


def test_a_socks_proxy(registry: Registry) -> None:
    """It looks the name up."""
    greeting = (64, b"\x05\x00")
    request = (64, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
    with relaying([greeting, request], registry.address) as (address, heard):
        client = HttpClient(proxies=ProxyVariables(f"socks5://{address}", "", ""))
        assert client.send("GET", "http://far.invalid/v2/").read(10) == b"{}"
        client.close()
    assert b"far.invalid" in heard[1]


def test_a_key_with_a_password_asks_nobody(front: TlsFront, client: HttpClient, tmp_path: Path) -> None:
    """It is a file that cannot be used."""
    subprocess.run(
        ["openssl", "pkey", "-in", "key.pem", "-aes256", "-passout", "pass:x", "-out", "locked.key"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    locked = TlsSettings(verify=False, certificate=tmp_path / "cert.pem", key=tmp_path / "locked.key")
    assert failure(client, f"https://{front.address}/", locked).kind is HttpErrorKind.CERTIFICATE_FILE
