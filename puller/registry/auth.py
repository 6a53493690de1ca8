"""Authentication at a registry: none, a password (Basic), or a cached token for one repository (Bearer).

The token protocol is in "Docker Registry v2 authentication via central service" and "Token Authentication
Implementation"; "OAuth2 token authentication" describes the exchange of an identity token.
"""

import base64
import json
import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from threading import Lock
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from puller.errors import FailureKind, RegistryError
from puller.registry.http import RegistryHttp, RegistryResponse, RequestLimits
from puller.registry.record import RegistryRecord
from puller.registry.responses import Challenge, Quota, Token
from puller.system.credentials import Keyring
from puller.system.docker_config import Credential

_OK = (HTTPStatus.OK,)
_HIDDEN = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
"""Statuses with which some registries answer anonymous requests for private images."""
_TOKEN_BYTES = 256 << 10
_LIFETIME = 60.0
"""Default lifetime of a token in seconds ("Token Response Fields")."""
_MARGIN = 10.0
_SHARE = 0.25
"""A token is renewed this many seconds, or this share of its lifetime, before its end, whichever is shorter."""

_WORD = r"[!#$%&'*+.^`|~\w-]+"
_PARAMETER = re.compile(rf'[\s,]*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))', re.ASCII)
_SCHEME = re.compile(rf"[\s,]*({_WORD})", re.ASCII)
_ESCAPED = re.compile(r"\\(.)")


class Access(NamedTuple):
    """The registry and the repository of a request, and its limits."""

    record: RegistryRecord
    repository: str
    limits: RequestLimits


class Authority:
    """Sends requests with the user's credentials; thread-safe. A token is requested again before it expires."""

    def __init__(self, http: RegistryHttp, keyring: Keyring | None = None) -> None:
        self._http = http
        self._keyring = keyring or Keyring()

    def ask(
        self, access: Access, method: str, path: str, headers: Mapping[str, str], accepted: Collection[int] = _OK
    ) -> RegistryResponse:
        """Send a request, and again with credentials if the registry wants some; raises RegistryError for a refusal.

        A refusal is any status that is not `accepted`. A server that the registry redirects to gets no account of it.
        """
        (record, _, limits), blob, header = access, "/blobs/" in path, self._known(access)
        reply = self._http.ask(record, method, path, _with(headers, header), limits, blob=blob)
        if reply.status == HTTPStatus.UNAUTHORIZED and not record.owns(reply.url):
            refusal = self._http.refusal(record, reply, *secrets_of(header))
            header = self._anonymous(access, reply)
            if not header:
                raise refusal
            reply = self._http.send(record, method, reply.url, _with(headers, header), limits, blob=blob)
        elif reply.status == HTTPStatus.UNAUTHORIZED or (reply.status in _HIDDEN and not header):
            refusal, refused = self._http.refusal(record, reply, *secrets_of(header)), header
            header = self._volunteered(access) if reply.status in _HIDDEN else self._renewed(access, reply, refused)
            if not header:
                raise refusal
            reply = self._http.ask(record, method, path, _with(headers, header), limits, blob=blob)
        if reply.status not in accepted:
            raise self._http.refusal(record, reply, *secrets_of(header))
        record.quota = Quota.of(reply.headers) or record.quota
        return reply

    def _known(self, access: Access) -> str:
        """Return the header for a first request; empty until the registry has sent a challenge."""
        challenges = access.record.challenges
        challenge = challenges.get(access.repository) or challenges.get("")
        return self._header(access, challenge, "") if challenge else ""

    def _renewed(self, access: Access, reply: RegistryResponse, refused: str) -> str:
        """Return the header for a second request after a 401; empty if there is none but the `refused` one.

        A challenge of a server that the registry redirected to is ignored: it could send our credentials elsewhere.
        """
        record, challenge = access.record, choose_challenge(reply.headers.get("www-authenticate", ""))
        if challenge is None or not record.owns(reply.url):
            return ""
        with record.lock:
            record.challenges[access.repository] = challenge
            # The challenge for the next repository will differ in its scope only.
            record.challenges[""] = challenge.without("scope")
        if refused:
            self._keyring.renew(record.host.name)
        header = self._header(access, challenge, refused)
        return "" if header == refused else header

    def _volunteered(self, access: Access) -> str:
        """Return a header for a registry that did not ask for credentials; empty if the user has none for it.

        The challenge comes from the API's root (OCI distribution spec "Determining Support").
        """
        if self._credential(access) is None:
            return ""
        reply = self._http.ask(access.record, "GET", "/v2/", {}, access.limits)
        reply.discard()
        return self._renewed(access, reply, "")

    def _anonymous(self, access: Access, reply: RegistryResponse) -> str:
        """Return a header for the server of another origin that a redirect leads to, after its 401; empty for none.

        It is a token that anybody gets there: none of our credentials is sent to another origin.
        """
        challenge = choose_challenge(reply.headers.get("www-authenticate", ""))
        if challenge is None or challenge.scheme != "bearer":
            return ""
        answer = self._send(access, challenge, challenge.parameters.get("scope", ""), None)
        if answer.status != HTTPStatus.OK:
            raise self._http.refusal(access.record, answer)
        return f"Bearer {_read(access.record, answer.read(_TOKEN_BYTES))[0]}"

    def _credential(self, access: Access) -> Credential | None:
        return self._keyring.find(access.record.host.name, access.repository)

    def _header(self, access: Access, challenge: Challenge, refused: str) -> str:
        if challenge.scheme == "basic":
            return _basic(self._credential(access))
        record, repository = access.record, access.repository
        with record.lock:
            lock = record.token_locks.setdefault(repository, Lock())
        with lock:
            token = record.tokens.get(repository)
            if token is None or monotonic() >= token.ends or token.header == refused:
                token = record.tokens[repository] = self._request_token(access, challenge)
            return token.header

    def _request_token(self, access: Access, challenge: Challenge) -> Token:
        began, credential = monotonic(), self._credential(access)
        scope = challenge.parameters.get("scope") or f"repository:{access.repository}:pull"
        reply = self._send(access, challenge, scope, credential)
        if reply.status != HTTPStatus.OK:
            raise self._http.refusal(access.record, reply, *(credential.secrets if credential else ()))
        token, lifetime = _read(access.record, reply.read(_TOKEN_BYTES))
        return Token(f"Bearer {token}", began + lifetime - min(_MARGIN, lifetime * _SHARE))

    def _send(
        self, access: Access, challenge: Challenge, scope: str, credential: Credential | None
    ) -> RegistryResponse:
        """Ask the token server that a challenge names for a token."""
        record, limits = access.record, access.limits
        try:
            realm = urlsplit(challenge.parameters["realm"])
        except ValueError:
            raise _no_token(record, "the URL of its token server is invalid") from None
        if realm.scheme != "https" and not (realm.scheme == "http" and record.host.insecure):
            raise _no_token(record, "its token server does not use HTTPS")
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
    """Parse the challenges of a header, or of several joined by commas, up to the first syntax error."""
    found: list[Challenge] = []
    place = 0
    while True:
        if match := _PARAMETER.match(header, place):
            if found:
                name, quoted, plain = match.groups()
                value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
                found[-1].parameters.setdefault(name.lower(), value)
        elif match := _SCHEME.match(header, place):
            found.append(Challenge(match[1].lower(), {}))
        else:
            return tuple(found)
        place = match.end()


def choose_challenge(header: str) -> Challenge | None:
    """Choose the challenge to answer: Bearer if it has a realm, else Basic."""
    challenges = parse_challenges(header)
    bearers = (each for each in challenges if each.scheme == "bearer" and each.parameters.get("realm"))
    return next(bearers, None) or next((each for each in challenges if each.scheme == "basic"), None)


def secrets_of(header: str) -> tuple[str, ...]:
    """Return the secrets in an Authorization header, as they are encoded and decoded, for redaction."""
    scheme, _, value = header.partition(" ")
    if scheme != "Basic":
        return (value,)
    return (value, base64.b64decode(value).decode().partition(":")[2])


def _with(headers: Mapping[str, str], authorization: str) -> Mapping[str, str]:
    return {**headers, "Authorization": authorization} if authorization else headers


def _basic(credential: Credential | None) -> str:
    if credential is None or credential.identity_token:
        return ""
    return f"Basic {credential.basic}"


def _no_token(record: RegistryRecord, words: str) -> RegistryError:
    return RegistryError(f"{record.host.name}: {words}", kind=FailureKind.TOKEN_RESPONSE_INVALID)


def _read(record: RegistryRecord, body: bytes) -> tuple[str, float]:
    try:
        answer = json.loads(body)
        token, lifetime = answer.get("token") or answer.get("access_token"), answer.get("expires_in")
    except (ValueError, AttributeError, RecursionError):
        token = lifetime = None
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,65536}", token):
        raise _no_token(record, "its token server sent no token")
    return token, float(lifetime) if isinstance(lifetime, (int, float)) and 0 < lifetime < 1 << 31 else _LIFETIME
