"""Who we are to a registry: nobody, an account (Basic), or a token for one repository (Bearer), kept while it is good.

"Docker Registry v2 authentication via central service" and its "Token Authentication Implementation" say how tokens
are asked for; "OAuth2 token authentication" says how an identity token is exchanged for one.
"""

import base64
import json
import re
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from urllib.parse import urlencode, urlsplit

from puller.errors import RegistryError
from puller.registry.credentials import Keyring
from puller.registry.http import RegistryEndpoint, RegistryHttp, RegistryResponse
from puller.system.docker_config import Credential

_TOKEN_BYTES = 256 << 10
_LIFETIME = 60.0
"""Seconds that a token lives where its server does not say ("Token Response Fields")."""
_MARGIN = 10.0
_SHARE = 0.25
"""A token is not used in its last seconds, or its last quarter, whichever is shorter: it shall outlive the request."""

_WORD = r"[!#$%&'*+.^`|~\w-]+"
_PARAMETER = re.compile(rf'[\s,]*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))', re.ASCII)
_SCHEME = re.compile(rf"[\s,]*({_WORD})", re.ASCII)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to answer a 401 (RFC 9110 "WWW-Authenticate")."""

    scheme: str
    """In small letters: `basic`, `bearer`."""
    parameters: dict[str, str] = field(default_factory=dict)
    """Names in small letters: `realm`, `service`, `scope`."""

    def without(self, name: str) -> "Challenge":
        """Return the same challenge without one of its parameters."""
        return Challenge(self.scheme, {key: value for key, value in self.parameters.items() if key != name})


@dataclass(frozen=True, slots=True)
class _Kept:
    """A token, ready to be sent."""

    header: str
    ends: float


class Authority:
    """The headers that let us in, for many threads: each token is asked for once, and again when it runs out."""

    def __init__(self, http: RegistryHttp, keyring: "Keyring | None" = None) -> None:
        """Take accounts from a `keyring`, by default this user's."""
        self._http = http
        self._keyring = keyring
        self._challenges: dict[tuple[str, str], Challenge] = {}
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def header(self, endpoint: RegistryEndpoint, repository: str) -> str:
        """Return what to send ahead of any question: empty as long as the registry has not asked who we are."""
        name = endpoint.host.name
        challenge = self._challenges.get((name, repository)) or self._challenges.get((name, ""))
        return self._answer(endpoint, repository, challenge, "") if challenge else ""

    def renewed(self, endpoint: RegistryEndpoint, repository: str, reply: RegistryResponse, refused: str) -> str:
        """Return what to send after a 401: never what was refused; empty when there is nothing else.

        Where the registry has led us to somebody else, that one does not get to say where credentials are to be sent.
        """
        challenge = choose_challenge(reply.headers.get("www-authenticate", ""))
        if challenge is None or not endpoint.owns(reply.url):
            return ""
        with self._lock:
            self._challenges[endpoint.host.name, repository] = challenge
            # The next repository will be asked the same, but for the scope.
            self._challenges[endpoint.host.name, ""] = challenge.without("scope")
        header = self._answer(endpoint, repository, challenge, refused)
        return "" if header == refused else header

    def _answer(self, endpoint: RegistryEndpoint, repository: str, challenge: Challenge, refused: str) -> str:
        if challenge.scheme == "basic":
            return _basic(self._account(endpoint, repository))
        key = (endpoint.host.name, repository)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._kept.get(key)
            if kept is None or monotonic() >= kept.ends or kept.header == refused:
                kept = self._kept[key] = self._ask(endpoint, repository, challenge)
            return kept.header

    def _account(self, endpoint: RegistryEndpoint, repository: str) -> "Credential | None":
        with self._lock:
            keyring = self._keyring = self._keyring or Keyring()
        return keyring.find(endpoint.host.name, repository)

    def _ask(self, endpoint: RegistryEndpoint, repository: str, challenge: Challenge) -> _Kept:
        began = monotonic()
        credential = self._account(endpoint, repository)
        scope = challenge.parameters.get("scope") or f"repository:{repository}:pull"
        reply = self._send(endpoint, challenge, scope, credential)
        if reply.status != HTTPStatus.OK:
            raise self._http.refusal(endpoint, reply, *_secrets(credential))
        token, lifetime = _read(endpoint, self._http.read(reply, _TOKEN_BYTES))
        return _Kept(f"Bearer {token}", began + lifetime - min(_MARGIN, lifetime * _SHARE))

    def _send(
        self, endpoint: RegistryEndpoint, challenge: Challenge, scope: str, credential: "Credential | None"
    ) -> RegistryResponse:
        try:
            realm = urlsplit(challenge.parameters["realm"])
        except ValueError:
            raise RegistryError(f"{endpoint.host.name}: its token server has no address") from None
        if realm.scheme != "https" and not (realm.scheme == "http" and endpoint.host.insecure):
            raise RegistryError(f"{endpoint.host.name}: its token server does not speak HTTPS")
        fields = {"service": challenge.parameters.get("service", ""), "scope": scope}
        fields = {name: value for name, value in fields.items() if value}
        if credential and credential.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": credential.identity_token, "client_id": "puller"}
            return self._http.send(endpoint, "POST", realm.geturl(), {}, form | fields)
        if credential:
            fields["account"] = credential.username
        query = "&".join(filter(None, (realm.query, urlencode(fields))))
        header = _basic(credential)
        url = realm._replace(query=query, fragment="").geturl()
        return self._http.send(endpoint, "GET", url, {"Authorization": header} if header else {})


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read all challenges of a header, or of several joined by commas; what makes no sense ends the reading."""
    found: list[Challenge] = []
    place = 0
    while True:
        if match := _PARAMETER.match(header, place):
            if found:
                name, quoted, plain = match.groups()
                value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
                found[-1].parameters.setdefault(name.lower(), value)
        elif match := _SCHEME.match(header, place):
            found.append(Challenge(match[1].lower()))
        else:
            return tuple(found)
        place = match.end()


def choose_challenge(header: str) -> Challenge | None:
    """Choose the challenge to answer: Bearer where it says where tokens are, else Basic."""
    challenges = parse_challenges(header)
    bearers = (each for each in challenges if each.scheme == "bearer" and each.parameters.get("realm"))
    return next(bearers, None) or next((each for each in challenges if each.scheme == "basic"), None)


def secrets_of(header: str) -> tuple[str, ...]:
    """Return what of a header must not be repeated to anybody, in all its forms."""
    scheme, _, value = header.partition(" ")
    if scheme != "Basic":
        return (value,)
    return (value, base64.b64decode(value).decode().partition(":")[2])


def _secrets(credential: "Credential | None") -> tuple[str, ...]:
    return (credential.password, credential.identity_token, *secrets_of(_basic(credential))) if credential else ()


def _basic(credential: "Credential | None") -> str:
    if credential is None or credential.identity_token:
        return ""
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _read(endpoint: RegistryEndpoint, body: bytes) -> tuple[str, float]:
    try:
        answer = json.loads(body)
        token, lifetime = answer.get("token") or answer.get("access_token"), answer.get("expires_in")
    except (ValueError, AttributeError, RecursionError):
        token = lifetime = None
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,65536}", token):
        raise RegistryError(f"{endpoint.host.name}: its token server sent no token")
    return token, float(lifetime) if isinstance(lifetime, (int, float)) and 0 < lifetime < 1 << 31 else _LIFETIME
