"""The page of a controller: its runs, the report of each, and metrics; read-only, for this machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from threading import Lock, Thread
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import unquote

from puller.errors import PullerError, UsageError
from puller.fleet.runs.controller import Controller
from puller.fleet.runs.model import RunCounts, RunRecord, RunState
from puller.fleet.runs.report import report_of_run
from puller.fleet.runs.store import Store
from puller.report import RENDERERS
from puller.text import clean, plain_error, timestamp

_REFRESH_SECONDS = 5
"""Seconds after which a browser asks again for a run that is not over, and for which a page is kept."""
_SHOWN = 100
"""Runs on the first page, and in the metrics."""
_STYLE = "body{font:15px system-ui;margin:2rem}td,th{padding:.2rem 1rem .2rem 0;text-align:left}"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


class _Answer(NamedTuple):
    """One response."""

    body: str
    kind: str = "text/html"
    refresh: bool = False
    policy: str = ""
    """A Content-Security-Policy; the report's page has its own."""
    status: HTTPStatus = HTTPStatus.OK


@contextmanager
def served(store: Store, controller: Controller, address: tuple[str, int]) -> Iterator[str]:
    """Serve the page during the block, at the URL that is returned; raises UsageError if the port is in use."""
    pages = Pages(store, controller)

    class Handler(_Handler):
        """Answers with these pages."""

        answer = staticmethod(pages.answer)

    class Server(ThreadingHTTPServer):
        """Serves IPv6 too."""

        address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        daemon_threads = True

    try:
        server = Server(address, Handler)
    except OSError as error:
        raise UsageError(f"--listen {address[0]}:{address[1]}: {plain_error(error)}") from None
    Thread(target=server.serve_forever, args=(0.2,), name="page", daemon=True).start()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    try:
        yield f"http://{host}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


class Pages:
    """Makes the pages; that of a run is made at most once in five seconds, however many ask for it."""

    def __init__(self, store: Store, controller: Controller) -> None:
        self._store, self._controller = store, controller
        self._kept: dict[str, tuple[int, float, _Answer]] = {}
        self._lock = Lock()

    def answer(self, path: str) -> _Answer:
        """Return the page of a path."""
        try:
            if path == "/":
                return self._front()
            if path == "/metrics":
                return self._metrics()
            if path.startswith("/runs/"):
                return self._run(unquote(path.removeprefix("/runs/")))
        except UsageError as error:
            return _Answer(f"{error}\n", "text/plain", status=HTTPStatus.NOT_FOUND)
        except PullerError as error:
            return _Answer(f"{error}\n", "text/plain", status=HTTPStatus.SERVICE_UNAVAILABLE)
        return _Answer("not found\n", "text/plain", status=HTTPStatus.NOT_FOUND)

    def _front(self) -> _Answer:
        rows = "".join(_row(run, self._store.counts(run.name)) for run in reversed(self._store.runs()[-_SHOWN:]))
        broker = "connected to" if self._controller.connected else "not connected to"
        head = "<tr><th>Run<th>Started<th>State<th>Hosts<th>Pulls<th>Failed<th>Offline"
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">'
            f"<title>Runs · puller</title><style>{_STYLE}</style>"
            f"<h1>Runs</h1><p>The controller is {broker} the broker.</p><table>{head}{rows}</table></html>"
        )
        return _Answer(page, refresh=True, policy=_POLICY)

    def _run(self, name: str) -> _Answer:
        run = self._store.run(name)
        with self._lock:
            version, at, kept = self._kept.get(name, (-1, 0.0, _Answer("")))
            if version >= 0 and (version == run.version or monotonic() - at < _REFRESH_SECONDS):
                return kept
            page = RENDERERS["html"](report_of_run(self._store, run), run=name)
            kept = _Answer(page, refresh=run.state in (RunState.RUNNING, RunState.PAUSED))
            self._kept = {name: (run.version, monotonic(), kept)}
        return kept

    def _metrics(self) -> _Answer:
        controller = self._controller
        totals = {
            "recorded": controller.recorded, "refused": controller.refused,
            "published": controller.published, "lost": controller.lost,
        }  # fmt: skip
        runs = [(run, self._store.counts(run.name)) for run in self._store.runs()[-_SHOWN:]]
        hosts = {(run.name, state.value): float(number) for run, (found, _) in runs for state, number in found.items()}
        pulls = {(run.name, status): float(number) for run, (_, found) in runs for status, number in found.items()}
        text: str = import_module("puller.report.prometheus").render_fleet(controller.connected, totals, hosts, pulls)
        return _Answer(text, "text/plain; version=0.0.4")


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD to this machine's own names."""

    answer: Any
    server_version = "puller"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """Send a page. The name is checked: another site may give its own the address of this machine."""
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host") or ""
        if host not in ("127.0.0.1", "localhost", "[::1]"):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        found: _Answer = self.answer(self.path.partition("?")[0])
        body = found.body.encode()
        self.send_response(found.status)
        self.send_header("Content-Type", found.kind if ";" in found.kind else f"{found.kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if found.policy:
            self.send_header("Content-Security-Policy", found.policy)
        if found.refresh:
            self.send_header("Refresh", str(_REFRESH_SECONDS))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, *_: object) -> None:
        """Log nothing: the page asks every few seconds."""


def _row(run: RunRecord, counts: RunCounts) -> str:
    cells = timestamp(run.started), run.state_word, *counts.cells
    name = escape(clean(run.name))
    return f'<tr><td><a href="/runs/{name}">{name}</a>' + "".join(f"<td>{escape(cell)}" for cell in cells)
