"""The Engine API, as far as it is questions with short answers; pulls are docker-py's (`puller.engine.docker_py`)."""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote, urlencode

from puller.engine.endpoint import DEFAULT_HOST, Endpoint, Tls
from puller.errors import EngineError, EngineUnreachableError, FailureKind
from puller.http import HttpClient, HttpError, HttpErrorKind, TlsSettings
from puller.text import clean

SECONDS = 20.0
"""To connect, and without a byte of an answer: the engine is near, or it is not there."""
_LARGEST = 256 << 20
_SCHEMES = {"tcp": "http", "http": "http", "https": "https"}
_GONE = {HttpErrorKind.CONNECT, HttpErrorKind.NAME}
_BROKEN_OFF = {HttpErrorKind.CUT, HttpErrorKind.PROTOCOL}


@dataclass(frozen=True, slots=True)
class Welcome:
    """What an engine says of itself (Engine API "Ping")."""

    version: str | None
    """Of its API."""
    server: str
    """What it calls itself, such as `Docker/28.5.2 (linux)` or `Libpod/4.3.1 (linux)`."""

    @property
    def silent(self) -> bool:
        """Whether it does not tell what came of a pull: podman."""
        return self.server.startswith("Libpod/")

    @property
    def engine(self) -> str:
        """The engine's version, and that the SDK leads to it."""
        version = clean(self.server.partition("/")[2].partition(" ")[0]) or "of unknown version"
        return f"engine {version} through the SDK (API {self.version})"


class ApiClient:
    """Asks one engine for many threads; raises EngineError with the engine's words."""

    def __init__(self, endpoint: Endpoint, seconds: float = SECONDS, version: str = "") -> None:
        """Speak so old a `version` of the API, or none; raises EngineUnreachableError for an address of no known kind.

        Nothing is sent yet.
        """
        self.endpoint = endpoint
        self.version = version
        scheme, _, rest = (endpoint.host or DEFAULT_HOST).partition("://")
        self._tls = _tls(endpoint.tls) if endpoint.tls else TlsSettings()
        path = rest if scheme == "unix" else None
        if path is None and scheme not in _SCHEMES:
            raise EngineUnreachableError(f"cannot connect to the engine at {endpoint.host}: the API is not there")
        web = "https" if endpoint.tls and path is None else _SCHEMES.get(scheme, "http")
        self._url = "http://localhost" if path is not None else f"{web}://{rest.rstrip('/')}"
        self._http = HttpClient(connect=seconds, read=seconds, unix_socket=path)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def ping(self) -> Welcome:
        """Ask `GET /_ping`, and `GET /version` for the version of the API where that does not tell it."""
        headers, _ = self._send("GET", "/_ping")
        version = headers.get("api-version")
        if version is None:
            answer = _read(self._send("GET", "/version")[1])
            version = str(answer.get("ApiVersion") or "") if isinstance(answer, dict) else ""
        return Welcome(version or None, headers.get("server", ""))

    def get(self, *words: str, **parameters: str) -> Any:
        """Ask `GET /WORD/…?PARAMETERS`, and return what the answer's JSON says."""
        return _read(self._send("GET", self._target(words, parameters))[1])

    def post(self, *words: str, **parameters: str) -> None:
        """Ask `POST /WORD/…?PARAMETERS`."""
        self._send("POST", self._target(words, parameters))

    def delete(self, *words: str, seconds: float) -> None:
        """Ask `DELETE /WORD/…`, and wait so many seconds for the answer."""
        self._send("DELETE", self._target(words, {}), (SECONDS, seconds))

    def close(self) -> None:
        """Break off what any thread is asking, and close the connections."""
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


def greet(endpoint: Endpoint, seconds: float = SECONDS) -> Welcome:
    """Ask an engine who it is; DOCKER_API_VERSION counts more than what it says. Raises EngineUnreachableError."""
    try:
        with ApiClient(endpoint, seconds) as client:
            welcome = client.ping()
    except EngineError as error:
        reason = error.__cause__ if isinstance(error.__cause__, HttpError) else error
        where = endpoint.host or "the engine's default socket"
        raise EngineUnreachableError(clean(f"cannot connect to the engine at {where}: {reason}")) from None
    return Welcome(os.environ.get("DOCKER_API_VERSION") or welcome.version, welcome.server)


def engine_error(error: HttpError) -> EngineError:
    """Say why an engine gave no answer, or no whole one."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return EngineError(f"{error.words}: the engine's socket", kind=FailureKind.SOCKET_PERMISSION)
    if error.kind in _GONE:
        return EngineError(f"the engine is gone: {error.words}", kind=FailureKind.DAEMON_UNREACHABLE)
    if error.kind in _BROKEN_OFF:
        return EngineError(f"the engine broke off: {error.words}", kind=FailureKind.ENGINE_DISCONNECTED)
    return EngineError(error.words)


def _tls(settings: Tls) -> TlsSettings:
    """Read a folder as the docker command does: only its own authority is trusted, not the system's."""
    certificate, key = settings.directory / "cert.pem", settings.directory / "key.pem"
    ours = certificate.exists() and key.exists()
    return TlsSettings(
        verify=settings.verify,
        authorities=(settings.directory / "ca.pem",) if settings.verify else (),
        certificate=certificate if ours else None,
        key=key if ours else None,
        system=False,
    )


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"the engine's answer makes no sense: {error}") from None


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
