"""A read-only registry on loopback for one run, which serves prefetched images to the engine.

It implements the part of the OCI distribution spec that a pull needs: ping, manifests and blobs by digest, ranges. A
blob is served while it is being downloaded; the engine verifies its digest as for any registry.
"""

import re
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import Any, Protocol

from puller.blobs.download_task import BlobDownload
from puller.blobs.pace import BandwidthLimit
from puller.image.manifest import Manifest

HOST = "127.0.0.1"
_PATH = re.compile(r"/v2/(?P<secret>[0-9a-f]{32})/(?P<name>\w+)/(?P<kind>\w+)/(?P<digest>[\w:.-]{1,140})")
_RANGE = re.compile(r"bytes=(\d{1,18})-")
_TLS_HELLO = b"\x16"
_NO_TLS = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n"
_UNKNOWN = b'{"errors":[{"code":"NAME_UNKNOWN","message":"not served here"}]}'
_DIGEST, _JSON = "Docker-Content-Digest", {"Content-Type": "application/json"}
_TICK = 0.5
_STRANGERS, _SECONDS = 64, 5.0
"""Number of connections that have not sent the secret yet, for one engine, and seconds until they must; the oldest are
closed first."""
_IDLE = 300.0
"""Seconds without a request, or without reading a response, after which any other connection is closed."""


class Source(Protocol):
    """The manifests and blobs to serve."""

    def document(self, name: str) -> Manifest | None:
        """Return a manifest by its digest, or by the tag `ALGORITHM-HEX…` of what refers to one; None if unknown."""

    def referrers(self, digest: str) -> Manifest | None:
        """Return the index of what refers to a manifest; None if it is unknown."""

    def blob(self, digest: str) -> BlobDownload | None:
        """Return a blob, and start its download if necessary; None for an unknown one."""


class LoopbackRegistry:
    """Serves on a free port, below a secret path, until it is closed."""

    def __init__(
        self,
        source: Source,
        taken: Callable[[str], object] = str,
        *,
        strangers: int = _STRANGERS,
        bandwidth: BandwidthLimit | None = None,
    ) -> None:
        """Listen; raises OSError. `taken` is called with the digest of each blob that was sent to its end.

        `strangers` is the number of connections that have not sent the secret yet. All connections together send blobs
        within `bandwidth`.
        """
        self.source = source
        self.taken = taken
        self.bandwidth = bandwidth or BandwidthLimit(None, sleep)
        self.secret = secrets.token_hex(16)
        self.contacted = Event()
        """Set by the first request for the secret path."""
        self.closing = Event()
        self._server = _Server((HOST, 0), type("_Bound", (_Exchange,), {"registry": self}), strangers)
        self.address = f"{HOST}:{self._server.server_address[1]}"
        self.place = f"{self.address}/{self.secret}"
        """What all names here begin with."""
        Thread(target=self._server.serve_forever, args=(0.1,), name="loopback", daemon=True).start()

    def name(self, label: str) -> str:
        """Return the full name of a repository here; a label is one word."""
        return f"{self.place}/{label}"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Other users of this machine may open connections as they like: they cost little, and keep no engine out."""

    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type["_Exchange"], most: int) -> None:
        super().__init__(address, handler)
        self._most = most
        self._strangers: dict[socket.socket, float] = {}
        """Connections without the secret, oldest first, and when they were opened."""
        self._lock = Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._strangers[request] = monotonic()
        self.service_actions()
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Close old connections without the secret; called by `serve_forever` about ten times a second, too."""
        with self._lock:
            over, ends = len(self._strangers) - self._most, monotonic() - _SECONDS
            for number, (connection, began) in enumerate(list(self._strangers.items())):
                if number >= over and began > ends:
                    break
                del self._strangers[connection]
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def admit(self, connection: socket.socket) -> None:
        """Keep a connection open: it has sent the secret, or ends."""
        with self._lock:
            self._strangers.pop(connection, None)

    def shutdown_request(self, request: Any) -> None:
        self.admit(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Ignore errors: engines break off connections, and report the reason themselves."""


class _Exchange(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE
    wbufsize = -1
    registry: LoopbackRegistry
    server: _Server

    def handle(self) -> None:
        """Refuse TLS at once, which some engines try first: without a response they would wait for one."""
        with suppress(OSError):
            if self.connection.recv(1, socket.MSG_PEEK) == _TLS_HELLO:
                self.connection.sendall(_NO_TLS)
                return
            super().handle()

    def do_GET(self) -> None:
        match = _PATH.fullmatch(self.path)
        if self.path in {"/v2/", "/v2"}:
            self._send(HTTPStatus.OK, b"{}", _JSON)
        elif match is None or not secrets.compare_digest(match["secret"], self.registry.secret):
            self.close_connection = True
            self._send_unknown()
        else:
            self.server.admit(self.connection)
            self.registry.contacted.set()
            source = self.registry.source
            if match["kind"] == "blobs":
                self._send_blob(match["digest"])
                return
            ask = {"manifests": source.document, "referrers": source.referrers}.get(match["kind"])
            if ask and (found := ask(match["digest"])):
                self._send(HTTPStatus.OK, found.raw, {"Content-Type": found.media_type, _DIGEST: found.digest})
            else:
                self._send_unknown()

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, *_: object) -> None:
        pass

    def _send_unknown(self) -> None:
        self._send(HTTPStatus.NOT_FOUND, _UNKNOWN, _JSON)

    def _send(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        standard = {"Docker-Distribution-Api-Version": "registry/2.0", "Content-Length": str(len(body))}
        for name, value in {**standard, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_blob(self, digest: str) -> None:
        blob = self.registry.source.blob(digest)
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(found[1]) if found else 0
        if blob is None or start > blob.size or (self.command != "HEAD" and not self._wait_for_byte(blob, start)):
            self._send_unknown()
            return
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size - start)}
        if found:
            headers["Content-Range"] = f"bytes {start}-{blob.size - 1}/{blob.size}"
        self._send(HTTPStatus.PARTIAL_CONTENT if found else HTTPStatus.OK, b"", {_DIGEST: digest, **headers})
        self.wfile.flush()
        if self.command == "HEAD":
            return
        if self._copy(blob, start):
            self.registry.taken(digest)
        else:
            self.close_connection = True

    def _copy(self, blob: BlobDownload, start: int) -> bool:
        """Send a blob while it is downloaded; False if the download fails."""
        restarts, bandwidth = blob.restarts, self.registry.bandwidth
        while (file := blob.file) is not None or not blob.done:
            if file is None:  # it is being verified
                blob.wait(blob.size, _TICK)
                continue
            try:
                opened = file.open("rb")
            except FileNotFoundError:  # the download completed, and its file was renamed
                if file == blob.file:
                    return False
                continue
            with opened:
                at = start
                while at < blob.size:
                    if not self._wait_for_byte(blob, at) or blob.restarts != restarts:
                        return False
                    count = bandwidth.share(blob.available - at)
                    if count <= 0:  # as above
                        continue
                    bandwidth.take(count)
                    sent = self.connection.sendfile(opened, blob.offset + at, count)
                    if not sent:  # the file has been cut
                        return False
                    at += sent
            return True
        return False

    def _wait_for_byte(self, blob: BlobDownload, beyond: int) -> bool:
        """Wait for the byte after `beyond`; False if the download fails, which happens sooner or later."""
        while blob.available <= beyond and blob.size > beyond:
            if blob.failure or self.registry.closing.is_set():
                return False
            blob.wait(beyond, _TICK)
        return True
