"""Whether anybody is there: asked without credentials, and with patience for a moment only."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from puller.registry import ping as reach_module
from puller.registry.ping import reach
from tests.lab import LAB_ACCOUNT, Proxy, Registry, Rule, TokenServer, faults
from tests.lab.tls import TlsFront
from tests.unit.registry.conftest import Configure


@contextmanager
def saying(words: bytes) -> Iterator[str]:
    """Listen, and say the same to everybody, without listening to them."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with closing(connection):
                        connection.sendall(words)
                        connection.shutdown(socket.SHUT_WR)
                        connection.recv(4096)
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("status", [200, 301, 401, 404, 429, 500, 503])
def test_any_answer_counts(registry: Registry, status: int) -> None:
    """Whatever its status."""
    with Proxy(registry) as proxy:
        proxy.use(Rule("^/v2/$", faults.answer(status, {"Location": "http://127.0.0.1:1/"})))
        assert reach(proxy.address)
        assert [(request.method, request.path) for request in proxy.log] == [("GET", "/v2/")]


def test_no_credentials_are_sent(registry: Registry, configure: Configure) -> None:
    """A registry that wants a password or a token is there, too."""
    with Registry(LAB_ACCOUNT) as guarded, TokenServer(registry) as tokens:
        configure({"auths": {tokens.address: {"auth": "bWU6cGFzcw=="}}})
        assert reach(guarded.address)
        assert reach(tokens.address)
        assert tokens.token_requests() == 0
        assert tokens.log[0].header("Authorization") is None


def test_nobody_there(registry: Registry) -> None:
    """Refused, reset, silent, not HTTP, no such name, no name at all."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert not reach(f"127.0.0.1:{port}")
    assert not reach(f"localhost:{port}")
    assert not reach(f"[::1]:{port}")
    with Proxy(registry) as proxy:
        proxy.use(Rule("", faults.reset()))
        assert reach(proxy.address)  # its head has come
        proxy.use(Rule("", faults.hang(0)))
        assert not reach(proxy.address)
        proxy.use(Rule("", faults.hang(60)))
        assert not reach(proxy.address, timeout=0.3)
    with saying(b"SSH-2.0-OpenSSH_9.2\r\n") as address:
        assert not reach(address)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not reach(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)
    assert not reach("nobody.invalid")
    assert not reach("not a name")
    assert not reach("a..b")
    assert not reach("x" * 300)


def test_behind_tls(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any certificate will do; and plain HTTP, where TLS gets that for an answer."""
    with TlsFront("127.0.0.1", registry.address, tmp_path) as front:
        assert reach(front.address)
        monkeypatch.setattr(reach_module, "is_loopback", lambda _: False)
        assert reach(front.address)
        assert reach(registry.address)
