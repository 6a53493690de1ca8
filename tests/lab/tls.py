"""TLS in front of a registry, with a certificate of an authority that nobody knows."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING

from tests.lab.process import WorldError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

CHUNK = 64 << 10
HANDSHAKE_SECONDS = 20.0


class _Server(socketserver.ThreadingTCPServer):
    """A server with a thread for each connection, which prints no tracebacks."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Print nothing: a client that trusts nobody breaks off."""


class TlsFront:
    """Speaks TLS to its clients and passes what they say on to another address; use it as a context manager."""

    def __init__(self, address: str, upstream: str, folder: Path, *, days: int = 2) -> None:
        """Make an authority (`ca.pem`) and a certificate in the folder, and listen on a free port of the address.

        The certificate is good for so many days; a negative number makes one that has expired.
        """
        self.authority = folder / "ca.pem"
        authority(folder)
        certificate(folder, address, f"subjectAltName=IP:{address}\n", days=days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        host, _, port = upstream.partition(":")
        self.connections = 0
        """How many clients are connected at this moment."""
        front, lock = self, threading.Lock()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with lock:
                    front.connections += 1
                try:
                    self._serve()
                finally:
                    with lock:
                        front.connections -= 1

            def _serve(self) -> None:
                self.request.settimeout(HANDSHAKE_SECONDS)
                with (
                    contextlib.suppress(OSError),
                    context.wrap_socket(self.request, server_side=True) as client,
                    socket.create_connection((host, int(port))) as server,
                ):
                    client.settimeout(None)
                    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                    back.start()
                    _pump(client, server)
                    back.join()

        self._server = _Server((address, 0), Handler)
        self.address = f"{address}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="tls", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the front, which listens already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; connections end with their clients."""
        self._server.shutdown()
        self._server.socket.close()
        self._thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until either side ends, and then end both."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def authority(folder: Path) -> None:
    """Make an authority that nobody knows: `ca.pem`, with its key."""
    names = ("-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=nobody-knows-me")
    _openssl(folder, "req", "-x509", *_KEY, *names)


def certificate(folder: Path, name: str, extensions: str, *, file: str = "cert", days: int = 2) -> None:
    """Make a certificate of the folder's authority for a common name: `cert.pem` and `key.pem`, or as `file` says."""
    key = "key.pem" if file == "cert" else f"{file}-key.pem"
    (folder / "extensions").write_text(extensions)
    _openssl(folder, "req", *_KEY, "-keyout", key, "-out", "request.pem", "-subj", f"/CN={name}")
    sign = ("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial")
    _openssl(folder, *sign, "-out", f"{file}.pem", "-days", str(days), "-extfile", "extensions")


def _openssl(folder: Path, *args: str) -> None:
    done = subprocess.run(["openssl", *args], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorldError(f"openssl {args[0]}: {done.stderr.strip()}")
