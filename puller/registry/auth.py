"""Authentication at a registry: none, an account (Basic), or a token for one repository (Bearer), kept while valid.

"Docker Registry v2 authentication via central service" and its "Token Authentication Implementation" say how tokens
are asked for; "OAuth2 token authentication" says how an identity token is exchanged for one.
"""

import base64
import json
import re
from http import HTTPStatus
from threading import Lock
from time import monotonic
from urllib.parse import urlencode, urlsplit

from puller.errors import RegistryError
from puller.registry.credentials import Keyring
from puller.registry.http import RegistryHttp, RegistryResponse, RequestLimits
from puller.registry.record import RegistryRecord
from puller.registry.responses import Challenge, Token
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


class Authority:
    """Makes the headers that let us in, for many threads: each token is asked for once, and again when it runs out."""

    def __init__(self, http: RegistryHttp, keyring: Keyring | None = None) -> None:
        """Take accounts from a `keyring`, by default this user's."""
        self._http = http
        self._keyring = keyring or Keyring()

    def header(self, record: RegistryRecord, repository: str, limits: RequestLimits) -> str:
        """Return what to send with a first request: empty as long as the registry has not asked who we are."""
        challenge = record.challenges.get(repository) or record.challenges.get("")
        return self._answer(record, repository, challenge, "", limits) if challenge else ""

    def renewed(
        self, record: RegistryRecord, repository: str, reply: RegistryResponse, refused: str, limits: RequestLimits
    ) -> str:
        """Return what to send after a 401: never what was refused; empty when there is nothing else.

        Only the registry itself may say where credentials are to be sent, and no server that it redirects to.
        """
        challenge = choose_challenge(reply.headers.get("www-authenticate", ""))
        if challenge is None or not record.owns(reply.url):
            return ""
        with record.lock:
            record.challenges[repository] = challenge
            # The next repository will be asked the same, but for the scope.
            record.challenges[""] = challenge.without("scope")
        header = self._answer(record, repository, challenge, refused, limits)
        return "" if header == refused else header

    def _answer(
        self, record: RegistryRecord, repository: str, challenge: Challenge, refused: str, limits: RequestLimits
    ) -> str:
        if challenge.scheme == "basic":
            return _basic(self._keyring.find(record.host.name, repository))
        with record.lock:
            lock = record.token_locks.setdefault(repository, Lock())
        with lock:
            token = record.tokens.get(repository)
            if token is None or monotonic() >= token.ends or token.header == refused:
                token = record.tokens[repository] = self._ask(record, repository, challenge, limits)
            return token.header

    def _ask(self, record: RegistryRecord, repository: str, challenge: Challenge, limits: RequestLimits) -> Token:
        began = monotonic()
        credential = self._keyring.find(record.host.name, repository)
        scope = challenge.parameters.get("scope") or f"repository:{repository}:pull"
        reply = self._send(record, challenge, scope, credential, limits)
        if reply.status != HTTPStatus.OK:
            raise self._http.refusal(record, reply, *_secrets(credential))
        token, lifetime = _read(record, reply.read(_TOKEN_BYTES))
        return Token(f"Bearer {token}", began + lifetime - min(_MARGIN, lifetime * _SHARE))

    def _send(
        self,
        record: RegistryRecord,
        challenge: Challenge,
        scope: str,
        credential: Credential | None,
        limits: RequestLimits,
    ) -> RegistryResponse:
        try:
            realm = urlsplit(challenge.parameters["realm"])
        except ValueError:
            raise RegistryError(f"{record.host.name}: its token server has no address") from None
        if realm.scheme != "https" and not (realm.scheme == "http" and record.host.insecure):
            raise RegistryError(f"{record.host.name}: its token server does not speak HTTPS")
        fields = {"service": challenge.parameters.get("service", ""), "scope": scope}
        fields = {name: value for name, value in fields.items() if value}
        if credential and credential.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": credential.identity_token, "client_id": "puller"}
            return self._http.send(record, "POST", realm.geturl(), {}, limits, form | fields)
        if credential:
            fields["account"] = credential.username
        query = "&".join(filter(None, (realm.query, urlencode(fields))))
        header = _basic(credential)
        url = realm._replace(query=query, fragment="").geturl()
        return self._http.send(record, "GET", url, {"Authorization": header} if header else {}, limits)


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


def _secrets(credential: Credential | None) -> tuple[str, ...]:
    return (credential.password, credential.identity_token, *secrets_of(_basic(credential))) if credential else ()


def _basic(credential: Credential | None) -> str:
    if credential is None or credential.identity_token:
        return ""
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _read(record: RegistryRecord, body: bytes) -> tuple[str, float]:
    try:
        answer = json.loads(body)
        token, lifetime = answer.get("token") or answer.get("access_token"), answer.get("expires_in")
    except (ValueError, AttributeError, RecursionError):
        token = lifetime = None
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,65536}", token):
        raise RegistryError(f"{record.host.name}: its token server sent no token")
    return token, float(lifetime) if isinstance(lifetime, (int, float)) and 0 < lifetime < 1 << 31 else _LIFETIME
