"""Requests to the Engine API with short responses; pulls are made by docker-py (`puller.engine.api.docker_py`)."""

import errno
import json
import os
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from puller.engine.endpoint import EngineAddress, Tls
from puller.errors import EngineError, EngineUnreachableError, FailureKind
from puller.http import HttpClient, HttpError, HttpErrorKind, TlsSettings
from puller.text import clean

SECONDS = 20.0
"""Time limit to connect, and without a byte of a response."""
_LARGEST = 256 << 20
"""Bytes of a response."""
_SCHEMES = {"tcp": "http", "http": "http", "https": "https"}
_GONE = {HttpErrorKind.CONNECT, HttpErrorKind.NAME}
_CUT = {HttpErrorKind.CUT, HttpErrorKind.PROTOCOL}


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
    def engine(self) -> str:
        version = clean(self.server.partition("/")[2].partition(" ")[0]) or "of unknown version"
        return f"engine {version} through the SDK (API {self.version})"


class ApiClient:
    """A client of one engine for many threads. Its methods raise EngineError."""

    def __init__(self, address: EngineAddress, seconds: float = SECONDS, version: str = "") -> None:
        """Use this `version` of the API, or the engine's newest; `seconds` limit connecting and each wait for a byte.

        Sends nothing yet. Raises EngineUnreachableError for an address that is not a socket or a TCP address.
        """
        self.version = version
        scheme, _, rest = address.url.partition("://")
        self._tls = _tls(address.tls) if address.tls else TlsSettings()
        path = rest if scheme == "unix" else None
        if path is None and scheme not in _SCHEMES:
            raise EngineUnreachableError(f"cannot connect to the engine at {address.url}: unknown kind of address")
        web = "https" if address.tls and path is None else _SCHEMES.get(scheme, "http")
        self._url = "http://localhost" if path is not None else f"{web}://{rest.rstrip('/')}"
        self._http = HttpClient(connect=seconds, read=seconds, unix_socket=path)

    def ping(self) -> EnginePing:
        """Send `GET /_ping`, and `GET /version` where the response names no API version."""
        headers, _ = self._send("GET", "/_ping")
        version = headers.get("api-version")
        if version is None:
            answer = _read(self._send("GET", "/version")[1])
            version = str(answer.get("ApiVersion") or "") if isinstance(answer, dict) else ""
        return EnginePing(version or None, headers.get("server", ""))

    def get(self, *words: str, **parameters: str) -> Any:
        """Send `GET /WORD/…?PARAMETERS` and return the JSON of the response."""
        return _read(self._send("GET", self._target(words, parameters))[1])

    def post(self, *words: str, **parameters: str) -> None:
        """Send `POST /WORD/…?PARAMETERS`."""
        self._send("POST", self._target(words, parameters))

    def delete(self, *words: str, seconds: float) -> None:
        """Send `DELETE /WORD/…`, and wait up to so many seconds for the response."""
        self._send("DELETE", self._target(words, {}), (SECONDS, seconds))

    def close(self) -> None:
        """Abort the requests of all threads, and close the connections."""
        self._http.close()

    def _target(self, words: tuple[str, ...], parameters: Mapping[str, str]) -> str:
        version = f"/v{self.version}" if self.version else ""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return "/".join((version, *(quote(word, safe="/:") for word in words))) + query

    def _send(
        self, method: str, target: str, timeouts: tuple[float, float] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        try:
            response = self._http.send(method, self._url + target, tls=self._tls, timeouts=timeouts)
            body = response.read(_LARGEST)
        except HttpError as error:
            raise engine_error(error) from error
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise EngineError(_words(body) or response.reason, status=response.status)
        return response.headers, body


def ping_engine(address: EngineAddress, seconds: float = SECONDS) -> EnginePing:
    """Ping an engine; DOCKER_API_VERSION overrides the API version. Raises EngineUnreachableError."""
    try:
        with closing(ApiClient(address, seconds)) as client:
            found = client.ping()
    except EngineError as error:
        reason = error.__cause__ if isinstance(error.__cause__, HttpError) else error
        raise EngineUnreachableError(clean(f"cannot connect to the engine at {address.url}: {reason}")) from None
    return EnginePing(os.environ.get("DOCKER_API_VERSION") or found.version, found.server)


def engine_error(error: HttpError) -> EngineError:
    """Return the EngineError for a response that did not arrive, or not completely."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return EngineError(f"{error.words}: the engine's socket", kind=FailureKind.SOCKET_PERMISSION)
    if error.kind in _GONE:
        return EngineError(f"the engine does not run: {error.words}", kind=FailureKind.DAEMON_UNREACHABLE)
    if error.kind in _CUT:
        return EngineError(f"the engine closed the connection: {error.words}", kind=FailureKind.ENGINE_DISCONNECTED)
    return EngineError(error.words)


def _tls(settings: Tls) -> TlsSettings:
    """Use a directory of certificates as docker does: only its own CA is trusted, not the system's."""
    certificate, key = settings.directory / "cert.pem", settings.directory / "key.pem"
    present = certificate.exists() and key.exists()
    return TlsSettings(
        verify=settings.verify,
        authorities=(settings.directory / "ca.pem",) if settings.verify else (),
        certificate=certificate if present else None,
        key=key if present else None,
        system=False,
    )


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"the engine's response cannot be read: {error}") from None


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
