"""A list from a URL, by a server of the test's own."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from puller.imagelist import url
from tests.unit.imagelist.shown import listed

COMPOSE = b"services:\n  a: {image: 'nginx:${NGINX_TAG:-1.27}'}\n"
Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer with a body and headers."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Give a function that puts answers under paths and says where."""
    answers: dict[str, Answer] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.get(self.path, answer(404))(self)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def add(path: str, what: Answer) -> str:
        answers[path] = what
        return f"http://127.0.0.1:{server.server_address[1]}{path}"

    yield add
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_list_of_any_kind(serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is fetched is known by its content and name, and gets no variable of ours."""
    monkeypatch.setenv("NGINX_TAG", "secret")
    compose = serve("/x", answer(200, COMPOSE))
    assert listed(compose) == [f"{compose}:2 nginx:1.27"]
    text = serve("/images.txt", answer(200, b"nginx\n"))
    assert listed(text) == [f"{text}:1 nginx"]
    dockerfile = serve("/Dockerfile", answer(200, b"# none\n"))
    assert listed(dockerfile) == [f"bad {dockerfile}:1: not a Dockerfile: it has no FROM"]
    packed = serve("/packed", answer(200, gzip.compress(COMPOSE), Content_Encoding="gzip"))
    assert listed(packed) == [f"{packed}:2 nginx:1.27"]


def test_a_sum_is_checked(serve: Callable[..., str]) -> None:
    """The right one is no part of the name, a wrong one ends it, and what is no sum is said to be none."""
    where = serve("/x", answer(200, COMPOSE))
    right = hashlib.sha256(COMPOSE).hexdigest()
    assert listed(f"{where}#sha256={right.upper()}") == [f"{where}:2 nginx:1.27"]
    assert listed(f"{where}#sha256={'0' * 64}") == [f"error {where}: checksum mismatch: its sha256 is {right}"]
    assert listed(f"{where}#sha256=00") == [
        f"error {where}: the part after # must be sha256= and 64 hexadecimal digits"
    ]


def test_redirects_are_followed_a_few_times_and_nowhere_else(serve: Callable[..., str]) -> None:
    """To http(s) only; the name that was typed stays the name."""
    serve("/there", answer(200, COMPOSE))
    here = serve("/here", answer(302, Location="/there"))
    assert listed(here) == [f"{here}:2 nginx:1.27"]
    file = serve("/file", answer(301, Location="file:///etc/passwd"))
    assert listed(file) == [f"error {file}: redirects to file:///etc/passwd, which is not allowed"]
    circle = serve("/circle", answer(307, Location="/circle"))
    assert listed(circle) == [f"error {circle}: redirects more than 5 times"]


def test_credentials_go_to_their_own_host_only(
    serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those of the URL not to where it redirects, those of ~/.netrc to the host that they are for."""
    sent: list[str | None] = []

    def noting(then: Answer) -> Answer:
        def send(handler: BaseHTTPRequestHandler) -> None:
            sent.append(handler.headers["Authorization"])
            then(handler)

        return send

    there = serve("/there", noting(answer(200, b"nginx\n"))).replace("127.0.0.1", "localhost")
    here = serve("/here", noting(answer(302, Location=there)))
    listed(here.replace("//", "//alice:hunter2@"))
    assert sent == ["Basic YWxpY2U6aHVudGVyMg==", None]
    sent.clear()
    (tmp_path / "netrc").write_text("machine localhost login bob password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    listed(here)
    assert sent == [None, "Basic Ym9iOnNlY3JldA=="]


def test_what_cannot_be_fetched_is_one_line(serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason, and without what may be secret in the address."""
    missing = serve("/a?token=hunter2", answer(404))
    assert listed(missing) == [f"error {missing.partition('?')[0]}: cannot be fetched: HTTP 404 Not Found"]
    secret = missing.replace("//", "//alice:hunter2@")
    assert listed(secret) == [f"error {missing.partition('?')[0]}: cannot be fetched: HTTP 404 Not Found"]
    assert listed("http://alice:hunter2@127.0.0.1:1/x") == [
        "error http://127.0.0.1:1/x: cannot be fetched: Connection refused"
    ]
    assert listed("http://[::1/x")[0].startswith("error http://[::1/x: cannot be fetched: ")
    assert "hunter2" not in listed("https://alice:hunter2@[::1/x?token=hunter2")[0]
    monkeypatch.setattr(url, "LARGEST", 10)
    large = serve("/large", answer(200, b"x" * 100))
    assert listed(large)[0].startswith(f"error {large}: larger than ")


def test_a_server_that_says_nothing_is_given_up(serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither silence nor a trickle without end holds a run."""
    done = threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        done.wait(10)

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(50):
            handler.wfile.write(b"#" * 65536)
            handler.wfile.flush()

    monkeypatch.setattr(url, "_STALL_TIMEOUT", 0.2)
    where = serve("/silent", silent)
    assert listed(where)[0].startswith(f"error {where}: cannot be fetched: ")
    assert "timed out" in listed(where)[0]
    done.set()
    monkeypatch.setattr(url, "_TIMEOUT", -1)
    where = serve("/trickle", trickle)
    assert listed(where) == [f"error {where}: cannot be fetched: not complete after -1 seconds"]
