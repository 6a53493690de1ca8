"""Requests to the Engine API."""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from math import inf
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from puller.engine.endpoint import EngineAddress, Tls
from puller.engine.responses import read_json
from puller.engine.timeouts import shares_downloads
from puller.errors import EngineError, EngineUnreachableError, FailureKind
from puller.http import HttpClient, HttpError, HttpErrorKind, HttpResponse, RequestGroup, TlsSettings
from puller.text import clean

SECONDS = 20.0
"""Time limit to connect, without a byte of a response, and for the body of a response."""
QUICK = 5.0
"""The same for questions whose answers help a pull, but are not necessary."""
_VERSION = re.compile(r"[0-9]{1,2}\.[0-9]{1,3}")
_LONGEST_VERSION = 40
_LARGEST = 64 << 20
"""Bytes of a response."""
LONGEST_MESSAGE = 16 << 20
"""Bytes of an error, and of each message of a stream. Both may contain all that a registry has sent."""
_SCHEMES = {"tcp": "http", "http": "http", "https": "https"}
_GONE = {HttpErrorKind.CONNECT, HttpErrorKind.NAME}
_CUT = {HttpErrorKind.CUT, HttpErrorKind.PROTOCOL}
_KINDS = {
    HttpErrorKind.TIMEOUT: FailureKind.TIMEOUT,
    HttpErrorKind.TOO_SLOW: FailureKind.TIMEOUT,
    HttpErrorKind.CONNECT_TIMEOUT: FailureKind.DAEMON_UNREACHABLE,
    HttpErrorKind.TOO_LARGE: FailureKind.DAEMON_BAD_RESPONSE,
    HttpErrorKind.CLOSED: FailureKind.CANCELLED,
}


class EnginePing(NamedTuple):
    """How an engine introduces itself (Engine API "Ping")."""

    version: str | None
    """The newest API version that it speaks."""
    server: str
    """The header `Server`, such as `Docker/28.5.2 (linux)` or `Libpod/4.3.1 (linux)`."""

    @property
    def omits_results(self) -> bool:
        """Whether it reports no result at the end of a pull, as podman."""
        return self.server.startswith("Libpod/")

    @property
    def shares_downloads(self) -> bool:
        """Whether a pull can be silent because others use the engine's download slots (`shares_downloads`)."""
        return not self.omits_results and shares_downloads(self.server.partition("/")[2])

    @property
    def engine(self) -> str:
        """The engine's own version, for people."""
        return clean(self.server.partition("/")[2].partition(" ")[0], _LONGEST_VERSION) or "of unknown version"


class ApiClient:
    """A client of one engine for many threads. Its methods raise EngineError."""

    def __init__(self, address: EngineAddress, seconds: float = SECONDS, version: str = "", *, kept: int = 16) -> None:
        """Use this `version` of the API, or the engine's newest; `seconds` limit connecting and each wait for a byte.

        Up to `kept` idle connections are kept. Sends nothing yet. Raises EngineUnreachableError for an address that is
        not a socket or a TCP address.
        """
        self.version = version
        scheme, _, rest = address.url.partition("://")
        self._tls = _tls(address.tls) if address.tls else TlsSettings()
        path = rest if scheme == "unix" else None
        if path is None and scheme not in _SCHEMES:
            raise EngineUnreachableError(f"cannot connect to the engine at {address.url}: unknown kind of address")
        web = "https" if address.tls and path is None else _SCHEMES.get(scheme, "http")
        self._url = "http://localhost" if path is not None else f"{web}://{rest.rstrip('/')}"
        self._seconds = seconds
        self._http = HttpClient(connect=seconds, read=seconds, kept=kept, unix_socket=path)

    def ping(self) -> EnginePing:
        """Send `GET /_ping`, and `GET /version` where the response names no API version."""
        headers, _ = self._send("GET", "/_ping")
        version = headers.get("api-version")
        if not version:
            answer = read_json(self._send("GET", "/version")[1])
            version = str(answer.get("ApiVersion") or "") if isinstance(answer, dict) else ""
        return EnginePing(_checked(version, "the engine") if version else None, headers.get("server", ""))

    def get(self, *words: str, seconds: float = SECONDS, group: RequestGroup | None = None, **parameters: str) -> Any:
        """Send `GET /WORD/…?PARAMETERS`, wait `seconds` for the response, and return its JSON.

        `cancel` ends the requests of a `group`.
        """
        return read_json(self._send("GET", self._target(words, parameters), seconds, group)[1])

    def stream(self, group: RequestGroup, headers: Mapping[str, str], *words: str, **parameters: str) -> HttpResponse:
        """Send `POST /WORD/…?PARAMETERS`, and return the response unread; nothing but `cancel` limits its time."""
        return self._open("POST", self._target(words, parameters), inf, group, headers)

    def cancel(self, group: RequestGroup) -> None:
        """Abort the requests of a group, from any thread, and refuse further ones."""
        self._http.cancel(group)

    def post(self, *words: str, **parameters: str) -> None:
        """Send `POST /WORD/…?PARAMETERS`."""
        self._send("POST", self._target(words, parameters))

    def delete(self, *words: str, seconds: float) -> None:
        """Send `DELETE /WORD/…`, and wait up to `seconds` for the response."""
        self._send("DELETE", self._target(words, {}), seconds)

    def close(self) -> None:
        """Abort the requests of all threads, and close the connections."""
        self._http.close()

    def _target(self, words: tuple[str, ...], parameters: Mapping[str, str]) -> str:
        version = f"/v{self.version}" if self.version else ""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return "/".join((version, *(quote(word, safe="/:") for word in words))) + query

    def _send(
        self, method: str, target: str, seconds: float | None = None, group: RequestGroup | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        read = seconds or self._seconds
        response = self._open(method, target, read, group)
        with engine_errors():
            return response.headers, response.read(_LARGEST, read)

    def _open(
        self,
        method: str,
        target: str,
        read: float,
        group: RequestGroup | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        timeouts = (self._seconds, read)
        with engine_errors():
            response = self._http.send(
                method, self._url + target, headers, tls=self._tls, timeouts=timeouts, group=group
            )
            if response.status < HTTPStatus.MULTIPLE_CHOICES:
                return response
            try:
                body = response.read(LONGEST_MESSAGE, read)
            except HttpError as error:
                if error.kind is not HttpErrorKind.TOO_LARGE:
                    raise
                body = b""  # a registry's flood, which the engine repeats: the status has to do
        raise EngineError(_words(body) or response.reason, status=response.status)


def ping_engine(address: EngineAddress, seconds: float = SECONDS) -> EnginePing:
    """Ping an engine; DOCKER_API_VERSION overrides the API version. Raises EngineUnreachableError."""
    try:
        with closing(ApiClient(address, seconds)) as client:
            found = client.ping()
    except EngineError as error:
        reason = error.__cause__ if isinstance(error.__cause__, HttpError) else error
        words = clean(f"cannot connect to the engine at {address.url}: {reason}")
        raise EngineUnreachableError(words, kind=error.kind) from None
    own = os.environ.get("DOCKER_API_VERSION")
    return EnginePing(_checked(own, "DOCKER_API_VERSION") if own else found.version, found.server)


def _checked(version: str, source: str) -> str:
    """Return a version that can be part of a path; raises EngineUnreachableError for anything else."""
    if _VERSION.fullmatch(version):
        return version
    words = f"{source} is not an API version: {clean(version, _LONGEST_VERSION)!r}"
    raise EngineUnreachableError(words, kind=FailureKind.API_VERSION_MISMATCH)


@contextmanager
def engine_errors() -> Iterator[None]:
    """Raise the EngineError for an HttpError in the block."""
    try:
        yield
    except HttpError as error:
        raise engine_error(error) from error


def engine_error(error: HttpError) -> EngineError:
    """Return the EngineError for a response that did not arrive, or not completely."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return EngineError(f"{error.words}: the engine's socket", kind=FailureKind.SOCKET_PERMISSION)
    if error.kind in _GONE:
        return EngineError(f"the engine does not run: {error.words}", kind=FailureKind.DAEMON_UNREACHABLE)
    if error.kind in _CUT:
        return EngineError(f"the engine closed the connection: {error.words}", kind=FailureKind.ENGINE_DISCONNECTED)
    kind, otherwise = _KINDS.get(error.kind), FailureKind.DAEMON_UNREACHABLE
    words = "the engine did not answer in time" if kind is FailureKind.TIMEOUT else error.words
    return EngineError(words, kind=kind, otherwise=otherwise)


def _tls(settings: Tls) -> TlsSettings:
    """Use a directory of certificates as docker does: only its own CA is trusted, not the system's."""
    certificate, key = settings.client_files or (None, None)
    return TlsSettings(
        verify=settings.verify,
        authorities=(settings.directory / "ca.pem",) if settings.verify else (),
        certificate=certificate,
        key=key,
        system=False,
    )


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
