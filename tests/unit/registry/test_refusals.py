"""What puller itself refuses stays refused: no second attempt, no exit code that means "run me again"."""

import socket
from pathlib import Path

import pytest

from tests.lab.http_server import Script, serving
from tests.lab.program import Program


def answering(*lines: str, body: bytes = b"") -> Script:
    """Answer every request with these headers and this body."""
    head = "".join(f"{line}\r\n" for line in (*lines, f"Content-Length: {len(body)}"))

    def script(connection: socket.socket, _: int) -> bool:
        connection.sendall(f"{head}\r\n".encode() + body)
        return True

    return script


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param(answering("HTTP/1.1 307 T", "Location: file:///etc/passwd"), "redirects to", id="scheme"),
        pytest.param(answering("HTTP/1.1 307 T", "Location: /v2/again"), "too many redirects", id="loop"),
        pytest.param(answering("HTTP/1.1 405 N", f"Docker-Content-Digest: sha256:{'a' * 64}"), "405", id="no method"),
        pytest.param(
            answering("HTTP/1.1 401 U", 'WWW-Authenticate: Bearer realm="ftp://x/token",service="x"'), "", id="token"
        ),
    ],
)
def test_a_refusal_of_our_own_is_permanent(tmp_path: Path, script: Script, words: str) -> None:
    """The registry does what puller never accepts: the next run will not either."""
    with serving(script) as server:
        options = ("--image", f"{server.address}/app:v1", "-o", "images.lock")
        run = Program(tmp_path, {}).run("lock", *options)
        assert (run.code, words in run.stderr) == (1, True)
        assert "unclassified" not in run.stderr
        assert len(server.questions) <= 12
