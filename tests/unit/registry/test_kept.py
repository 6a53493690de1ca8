"""HEAD on kept connections: what servers may do, and what they should not."""

import socket
import threading
import time

import pytest

from puller.errors import RegistryError
from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from tests.lab.http_server import Script, Server, saying, serving
from tests.unit.registry.conftest import AskingAgain

DIGEST = "sha256:" + "a" * 64
HEADERS = f"Docker-Content-Digest: {DIGEST}\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n"
GOOD = f"HTTP/1.1 200 OK\r\n{HEADERS}Content-Length: 7\r\n\r\n".encode()


def head(server: Server, times: int = 1, ended: threading.Semaphore | None = None) -> None:
    """Ask so many times, one after the other, and see that the answer is understood; then something has `ended`."""
    with AskingAgain(connect=2, read=2) as client:
        for _ in range(times):
            assert client.head(ImageReference.parse(f"{server.address}/a/b:1")).digest == DIGEST
            time.sleep(0.02)
            assert ended is None or ended.acquire(timeout=60)


def test_a_connection_is_kept() -> None:
    """Three questions, one connection; each names its host, and what it takes."""
    with serving(saying(GOOD)) as server:
        head(server, 3)
        assert server.connections == 1
        first = server.questions[0].decode()
        assert first.startswith(f"HEAD /v2/a/b/manifests/1 HTTP/1.1\r\nHost: {server.address}\r\n")
        assert "\r\nUser-Agent: puller/" in first
        assert "application/vnd.oci.image.index.v1+json" in first


@pytest.mark.parametrize(
    "answer",
    [
        GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"),
        GOOD + b"a body",
        GOOD + b"HTTP/1.1 500 Nonsense\r\n\r\n",
    ],
)
def test_a_connection_that_is_done_is_not_used_again(answer: bytes) -> None:
    """It was said to end, is of an old kind, or something came that was not asked for."""
    with serving(saying(answer)) as server:
        head(server, 2)
        assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD,
        GOOD.replace(b"\r\n", b"\n"),
        GOOD.replace(b"HTTP/1.1 200 OK", b"HTTP/1.0 200").replace(b"\r\n\r\n", b"\r\nConnection: Keep-Alive\r\n\r\n"),
        GOOD.replace(b"Docker-Content-Digest: ", b"docker-content-digest:"),
        GOOD.replace(b"\r\n\r\n", b"\r\nX-Words: \xe4 \x85 b\r\n\r\n"),
    ],
)
def test_forms_that_an_answer_may_have(answer: bytes) -> None:
    """All of them are understood, and leave the connection in order."""
    with serving(saying(answer)) as server:
        head(server, 2)
        assert server.connections == 1


def test_an_idle_connection_may_be_gone() -> None:
    """Ended without a word, or with a status that answers nothing: the next question goes over a new one."""
    for parting in (b"", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"):
        ended = threading.Semaphore(0)
        with serving(_late(parting, ended)) as server:
            head(server, 3, ended)
            assert server.connections == 3


def _late(parting: bytes, ended: threading.Semaphore) -> Script:
    def script(connection: socket.socket, _: int) -> bool:
        connection.sendall(GOOD)
        time.sleep(0.005)
        connection.sendall(parting)
        connection.shutdown(socket.SHUT_WR)
        ended.release()
        return False

    return script


def test_a_connection_that_breaks_at_the_second_question() -> None:
    """Is no trouble: a new one is asked."""

    def script(connection: socket.socket, number: int) -> bool:
        if number == 0:
            connection.sendall(GOOD)
        return number == 0

    with serving(script) as server:
        head(server, 3)
        assert (server.connections, len(server.questions)) == (3, 5)


def test_several_challenges_are_one_list() -> None:
    """Basic comes in a header of its own, after one that nobody knows."""
    refusal = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Strange x="1"\r\nWWW-Authenticate: Basic realm="r"\r\n\r\n'
    with serving(saying(refusal)) as server, RegistryClient() as client:
        with pytest.raises(RegistryError) as caught:
            client.head(ImageReference.parse(f"{server.address}/a"))
        assert caught.value.status == 401


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (saying(b"", stays=False), "the connection was closed"),
        (saying(b"HTTP/1.1 200 OK\r\nX: ", stays=False), "the connection was closed"),
        (saying(b"SSH-2.0-OpenSSH\r\n\r\n"), "it does not speak HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000), "the response headers are too long"),
    ],
)
def test_what_is_no_answer_is_trouble(script: Script, words: str) -> None:
    """In words that a person understands."""
    with (
        serving(script) as server,
        RegistryClient(connect=0.5, read=0.3) as client,
        pytest.raises(RegistryError, match=words) as caught,
    ):
        client.head(ImageReference.parse(f"{server.address}/a"))
    assert caught.value.unanswered


def test_dripping_headers_are_not_waited_for() -> None:
    """Although each byte comes in time."""

    def drip(connection: socket.socket, _: int) -> bool:
        for byte in GOOD:
            connection.sendall(bytes((byte,)))
            time.sleep(0.05)
        return False

    with (
        serving(drip) as server,
        RegistryClient(connect=2, read=0.3) as client,
        pytest.raises(RegistryError, match="no answer in time"),
    ):
        client.head(ImageReference.parse(f"{server.address}/a"))


def _once(connection: socket.socket, number: int) -> bool:
    """Answer the first question of a connection, and be silent after that."""
    if number == 0:
        connection.sendall(GOOD)
        return True
    connection.recv(1)
    return False


def test_silence_on_a_kept_connection_ends_in_time() -> None:
    """As it does on a new one."""
    with serving(_once) as server, AskingAgain(connect=2, read=0.3) as client:
        reference = ImageReference.parse(f"{server.address}/a")
        client.head(reference)
        begun = time.monotonic()
        with pytest.raises(RegistryError, match="no answer in time") as caught:
            client.head(reference)
        assert caught.value.timed_out
        assert time.monotonic() - begun < 2


def test_silence_on_a_kept_connection_is_broken_off_from_another_thread() -> None:
    """At once, however long the answer may take."""
    with serving(_once) as server, AskingAgain(connect=60, read=60) as client:
        reference = ImageReference.parse(f"{server.address}/a")
        client.head(reference)
        threading.Timer(0.3, client.close).start()
        begun = time.monotonic()
        with pytest.raises(RegistryError, match="cancelled"):
            client.head(reference)
        assert time.monotonic() - begun < 2
