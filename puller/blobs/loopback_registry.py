"""A registry on loopback, read-only and for this run: what engines pull from it is what was fetched for them.

It speaks what a pull needs of the OCI distribution spec: the ping, manifests and blobs by digest, and ranges. A blob
that is still on its way is sent as it comes; the engine checks it as it checks all that registries send.
"""

import re
import secrets
import socket
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Protocol

from puller.blobs.download_task import BlobDownload

HOST = "127.0.0.1"
_PATH = re.compile(r"/v2/(?P<secret>[0-9a-f]{32})/(?P<name>\w+)/(?P<kind>manifests|blobs)/(?P<digest>[\w:]{1,140})")
_RANGE = re.compile(r"bytes=(\d{1,18})-")
_TLS_HELLO = b"\x16"
_NO_TLS = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n"
_UNKNOWN = b'{"errors":[{"code":"NAME_UNKNOWN","message":"not served here"}]}'
_TICK = 0.5


class Source(Protocol):
    """Where the registry has its answers from."""

    def document(self, digest: str) -> tuple[str, bytes] | None:
        """Give a manifest's media type and bytes."""

    def blob(self, digest: str) -> BlobDownload | None:
        """Give a blob, and see to it that it comes."""


class LoopbackRegistry:
    """Serves on a free port, under a name that nobody can guess, until it is closed."""

    def __init__(self, source: Source) -> None:
        """Listen; raises OSError."""
        self.source = source
        self.secret = secrets.token_hex(16)
        self.asked = Event()
        """Whether anybody who knows the name has come."""
        self.closing = Event()
        self._server = _Server((HOST, 0), type("_Bound", (_Exchange,), {"registry": self}))
        self.address = f"{HOST}:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.1,), name="loopback", daemon=True).start()

    def name(self, label: str) -> str:
        """Give the name of a repository here; a label is one word."""
        return f"{self.address}/{self.secret}/{label}"

    def close(self) -> None:
        """Serve nothing more."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Say nothing: engines break connections off, and it is they who tell why."""


class _Exchange(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    registry: LoopbackRegistry

    def handle(self) -> None:
        """Tell those who try TLS first that there is none: without an answer they would wait for one."""
        with suppress(OSError):
            if self.connection.recv(1, socket.MSG_PEEK) == _TLS_HELLO:
                self.connection.sendall(_NO_TLS)
                return
            super().handle()

    def do_GET(self) -> None:
        """Answer."""
        if self.path in {"/v2/", "/v2"}:
            self._send(HTTPStatus.OK, "application/json", b"{}")
            return
        match = _PATH.fullmatch(self.path)
        if match is None or not secrets.compare_digest(match["secret"], self.registry.secret):
            self._send(HTTPStatus.NOT_FOUND, "application/json", _UNKNOWN)
            return
        self.registry.asked.set()
        if match["kind"] == "blobs":
            self._blob(match["digest"])
        elif document := self.registry.source.document(match["digest"]):
            self._send(HTTPStatus.OK, *document, match["digest"])
        else:
            self._send(HTTPStatus.NOT_FOUND, "application/json", _UNKNOWN)

    do_HEAD = do_GET  # noqa: N815 - likewise

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _send(self, status: HTTPStatus, media_type: str, body: bytes, digest: str = "") -> None:
        self._head(status, media_type, len(body), digest)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, media_type: str, size: int, digest: str, content_range: str = "") -> None:
        self.send_response_only(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(size))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()

    def _blob(self, digest: str) -> None:
        blob = self.registry.source.blob(digest)
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(found[1]) if found else 0
        if blob is None or start > blob.size or (self.command != "HEAD" and not self._comes(blob, start)):
            self._send(HTTPStatus.NOT_FOUND, "application/json", _UNKNOWN)
            return
        status = HTTPStatus.PARTIAL_CONTENT if found else HTTPStatus.OK
        content_range = f"bytes {start}-{blob.size - 1}/{blob.size}" if found else ""
        self._head(status, "application/octet-stream", blob.size - start, digest, content_range)
        self.wfile.flush()
        if self.command != "HEAD" and not self._copy(blob, start):
            self.close_connection = True

    def _copy(self, blob: BlobDownload, start: int) -> bool:
        """Send a blob as it comes; False when it is not to be had after all."""
        renewed = blob.renewed
        while (file := blob.file) is not None:
            try:
                opened = file.open("rb")
            except FileNotFoundError:  # it has just become whole, and lies elsewhere
                if file == blob.file:
                    return False
                continue
            with opened:
                at = start
                while at < blob.size:
                    if not self._comes(blob, at) or blob.renewed != renewed:
                        return False
                    at += self.connection.sendfile(opened, blob.offset + at, blob.available - at)
            return True
        return False

    def _comes(self, blob: BlobDownload, beyond: int) -> bool:
        """Wait for a byte: those who fetch it give up sooner or later."""
        while blob.available <= beyond and blob.size > beyond:
            if blob.failure or self.registry.closing.is_set():
                return False
            blob.wait(beyond, _TICK)
        return True
