"""What a registry says when it wants to know who asks: the header WWW-Authenticate."""

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
from puller.registry.reply import Reply
from puller.registry.site import Site
from puller.registry.transport import Transport
from puller.system.docker_config import Credential

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


def parse(header: str) -> tuple[Challenge, ...]:
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


def choose(header: str) -> Challenge | None:
    """Choose the challenge to answer: Bearer where it says where tokens are, else Basic."""
    challenges = parse(header)
    bearers = (each for each in challenges if each.scheme == "bearer" and each.parameters.get("realm"))
    return next(bearers, None) or next((each for each in challenges if each.scheme == "basic"), None)


_TOKEN_BYTES = 256 << 10
_LIFETIME = 60.0
"""Seconds that a token lives where its server does not say ("Token Response Fields")."""
_MARGIN = 10.0
_SHARE = 0.25
"""A token is not used in its last seconds, or its last quarter, whichever is shorter: it shall outlive the request."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A token, ready to be sent."""

    header: str
    ends: float


class Authority:
    """The headers that let us in, for many threads: each token is asked for once, and again when it runs out."""

    def __init__(self, transport: Transport, keyring: Keyring | None = None) -> None:
        """Take accounts from a `keyring`, by default this user's."""
        self._transport = transport
        self._keyring = keyring
        self._challenges: dict[tuple[str, str], Challenge] = {}
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def header(self, site: Site, repository: str) -> str:
        """Return what to send ahead of any question: empty as long as the registry has not asked who we are."""
        challenge = self._challenges.get((site.host.name, repository)) or self._challenges.get((site.host.name, ""))
        return self._answer(site, repository, challenge, "") if challenge else ""

    def renewed(self, site: Site, repository: str, reply: Reply, refused: str) -> str:
        """Return what to send after a 401: never what was refused; empty when there is nothing else.

        Where the registry has led us to somebody else, that one does not get to say where credentials are to be sent.
        """
        challenge = choose(reply.headers.get("www-authenticate", ""))
        if challenge is None or not site.owns(reply.url):
            return ""
        with self._lock:
            self._challenges[site.host.name, repository] = challenge
            # The next repository will be asked the same, but for the scope.
            self._challenges[site.host.name, ""] = challenge.without("scope")
        header = self._answer(site, repository, challenge, refused)
        return "" if header == refused else header

    def _answer(self, site: Site, repository: str, challenge: Challenge, refused: str) -> str:
        if challenge.scheme == "basic":
            return _basic(self._account(site, repository))
        key = (site.host.name, repository)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._kept.get(key)
            if kept is None or monotonic() >= kept.ends or kept.header == refused:
                kept = self._kept[key] = self._ask(site, repository, challenge)
            return kept.header

    def _account(self, site: Site, repository: str) -> Credential | None:
        with self._lock:
            keyring = self._keyring = self._keyring or Keyring()
        return keyring.find(site.host.name, repository)

    def _ask(self, site: Site, repository: str, challenge: Challenge) -> _Kept:
        began = monotonic()
        credential = self._account(site, repository)
        scope = challenge.parameters.get("scope") or f"repository:{repository}:pull"
        reply = self._send(site, challenge, scope, credential)
        if reply.status != HTTPStatus.OK:
            raise self._transport.refusal(site, reply, *_secrets(credential))
        token, lifetime = _read(site, self._transport.read(site, reply, _TOKEN_BYTES))
        return _Kept(f"Bearer {token}", began + lifetime - min(_MARGIN, lifetime * _SHARE))

    def _send(self, site: Site, challenge: Challenge, scope: str, credential: Credential | None) -> Reply:
        try:
            realm = urlsplit(challenge.parameters["realm"])
        except ValueError:
            raise RegistryError(f"{site.host.name}: its token server has no address") from None
        if realm.scheme != "https" and not (realm.scheme == "http" and site.host.insecure):
            raise RegistryError(f"{site.host.name}: its token server does not speak HTTPS")
        fields = {"service": challenge.parameters.get("service", ""), "scope": scope}
        fields = {name: value for name, value in fields.items() if value}
        if credential and credential.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": credential.identity_token, "client_id": "puller"}
            return self._transport.send(site, "POST", realm.geturl(), {}, form | fields)
        if credential:
            fields["account"] = credential.username
        query = "&".join(filter(None, (realm.query, urlencode(fields))))
        header = _basic(credential)
        url = realm._replace(query=query, fragment="").geturl()
        return self._transport.send(site, "GET", url, {"Authorization": header} if header else {})


def secrets_of(header: str) -> tuple[str, ...]:
    """Return what of a header must not be repeated to anybody, in all its forms."""
    scheme, _, value = header.partition(" ")
    if scheme != "Basic":
        return (value,)
    return (value, base64.b64decode(value).decode().partition(":")[2])


def _secrets(credential: Credential | None) -> tuple[str, ...]:
    return (credential.password, credential.identity_token, *secrets_of(_basic(credential))) if credential else ()


def _basic(credential: Credential | None) -> str:
    if credential is None or credential.identity_token:
        return ""
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _read(site: Site, body: bytes) -> tuple[str, float]:
    try:
        answer = json.loads(body)
        token, lifetime = answer.get("token") or answer.get("access_token"), answer.get("expires_in")
    except (ValueError, AttributeError, RecursionError):
        token = lifetime = None
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,65536}", token):
        raise RegistryError(f"{site.host.name}: its token server sent no token")
    return token, float(lifetime) if isinstance(lifetime, (int, float)) and 0 < lifetime < 1 << 31 else _LIFETIME
