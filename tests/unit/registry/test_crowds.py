"""Many registries at once: threads and connections stay few."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from puller.image.reference import ImageReference
from puller.registry.client import RegistryClient
from tests.lab import OCI
from tests.lab.samples import DIGEST


class _Wanderer(BaseHTTPRequestHandler):
    """Redirects each request to another address of this machine, where it is answered."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """Send the client on, or answer."""
        if self.path == "/there":
            self.send_response_only(200)
            self.send_header("Docker-Content-Digest", DIGEST)
            self.send_header("Content-Type", OCI.manifest)
        else:
            number = int(self.path.rpartition("/app")[2].partition("/")[0])
            self.send_response_only(307)
            self.send_header("Location", f"http://127.0.1.{number + 1}:{self.connection.getsockname()[1]}/there")
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_redirects_to_ever_new_addresses_keep_few_connections() -> None:
    """Connections to places that are never asked again are closed."""
    server = ThreadingHTTPServer(("0.0.0.0", 0), _Wanderer)  # noqa: S104 - all addresses of loopback
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the folder cannot be listed lazily
    with RegistryClient() as client:
        for number in range(100):
            reference = ImageReference.parse(f"127.0.0.1:{server.server_address[1]}/app{number}:v1")
            assert client.head(reference).digest == DIGEST
        # The server is in this process, and has a descriptor for each connection, too.
        assert len(os.listdir("/proc/self/fd")) - before < 90  # noqa: PTH208
    server.shutdown()
    server.server_close()
