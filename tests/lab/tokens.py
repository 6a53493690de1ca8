"""A registry that wants Bearer tokens, and the server that hands them out: both on one port, in front of a registry.

The flow is that of "Docker Registry v2 authentication via central service": a 401 names realm, service and scope.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tests.lab.faults import Action, forward
from tests.lab.proxy import Proxy, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.lab.exchange import Exchange
    from tests.lab.faults import Rule
    from tests.lab.registry import Registry

TOKEN_PATH = "/token"
SERVICE = "lab-tokens"
_REPOSITORY = re.compile(r"/v2/(?P<name>.+)/(?:manifests|blobs|tags|referrers)/")


@dataclass
class _Grant:
    """A token that was handed out, and what it is still good for."""

    scopes: frozenset[str]
    ends: float
    uses: int | None


class TokenServer(Proxy):
    """A proxy whose registry asks for a token: `with TokenServer(registry) as guarded: … guarded.address`.

    Without accounts everybody gets a token; with accounts (user: password) nobody else does. A token is good for
    `uses` requests (None: any number) and for `seconds`. Rules come first, for the path /token, too; the log holds
    the requests for tokens among all others.
    """

    def __init__(
        self,
        registry: Registry,
        rules: Iterable[Rule] = (),
        *,
        accounts: Mapping[str, str] | None = None,
        uses: int | None = None,
        seconds: float = 60,
    ) -> None:
        """Listen on a free loopback port; the realm is on the same port, unless `realm` is set to another."""
        self.accounts = accounts
        self.uses = uses
        self.seconds = seconds
        self._grants: dict[str, _Grant] = {}
        self._granting = threading.Lock()
        super().__init__(registry, rules)
        self.realm = f"{self.url}{TOKEN_PATH}"

    @property
    def granted(self) -> list[str]:
        """All tokens that were handed out and not revoked."""
        return list(self._grants)

    def identity(self, user: str) -> str:
        """Return the identity token (refresh token) of an account."""
        return f"identity-of-{user}"

    def revoke(self) -> None:
        """Let no token that was handed out so far be good any longer."""
        with self._granting:
            self._grants.clear()

    def token_requests(self) -> int:
        """Count the requests for tokens since the last `forget`."""
        return self.count(path=rf"^{TOKEN_PATH}\b")

    def _action(self, request: Request) -> Action:
        act = super()._action(request)
        if act is not forward:
            return act
        return self._grant if urlsplit(request.path).path == TOKEN_PATH else self._guard

    def _guard(self, exchange: Exchange) -> None:
        """Pass the request on when its token is good, else answer 401 with a challenge."""
        found = _REPOSITORY.match(exchange.path)
        scope = f"repository:{found['name']}:pull" if found else ""
        scheme, _, token = (exchange.headers.get("Authorization") or "").partition(" ")
        if scheme == "Bearer" and self._use(token, scope):
            exchange.forward()
            return
        challenge = f'Bearer realm="{self.realm}",service="{SERVICE}"'
        challenge += f',scope="{scope}"' if scope else ""
        challenge += ',error="invalid_token"' if token else ""
        body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required", "detail": None}]}
        _reply(exchange, HTTPStatus.UNAUTHORIZED, body, {"WWW-Authenticate": challenge})

    def _use(self, token: str, scope: str) -> bool:
        with self._granting:
            grant = self._grants.get(token)
            if grant is None or time.monotonic() >= grant.ends or (scope and scope not in grant.scopes):
                return False
            if grant.uses is not None:
                grant.uses -= 1
                if grant.uses <= 0:
                    del self._grants[token]
            return True

    def _grant(self, exchange: Exchange) -> None:
        """Hand out a token for what is asked, when the account is in order."""
        form = parse_qs(exchange.body.decode() if exchange.command == "POST" else urlsplit(exchange.path).query)
        if not self._knows(exchange, {name: values[0] for name, values in form.items()}):
            _reply(exchange, HTTPStatus.UNAUTHORIZED, {"details": "incorrect username or password"})
            return
        token = secrets.token_urlsafe(32)
        scopes = frozenset(scope for value in form.get("scope", []) for scope in value.split())
        with self._granting:
            self._grants[token] = _Grant(scopes, time.monotonic() + self.seconds, self.uses)
        _reply(exchange, HTTPStatus.OK, {"token": token, "access_token": token, "expires_in": self.seconds})

    def _knows(self, exchange: Exchange, form: Mapping[str, str]) -> bool:
        if exchange.command == "POST":
            if form.get("grant_type") == "refresh_token":
                return form.get("refresh_token") in {self.identity(user) for user in self.accounts or ()}
            return self._is_account(form.get("username", ""), form.get("password", ""))
        scheme, _, value = (exchange.headers.get("Authorization") or "").partition(" ")
        if scheme != "Basic":
            return self.accounts is None
        user, _, password = base64.b64decode(value).decode().partition(":")
        return self._is_account(user, password)

    def _is_account(self, user: str, password: str) -> bool:
        return self.accounts is not None and user in self.accounts and self.accounts[user] == password


def _reply(
    exchange: Exchange, status: HTTPStatus, body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> None:
    exchange.reply(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(body).encode())
