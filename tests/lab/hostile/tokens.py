"""Challenges and tokens."""

from collections.abc import Callable

from tests.lab.hostile.blobs import flood_body
from tests.lab.hostile.image import MEGABYTE, add, encoded, hang, healthy, kind_of, saying
from tests.lab.hostile.redirects import redirect_anew
from tests.lab.raw_http import Act, Exchange, head
from tests.lab.unsafe_text import ESCAPES, LINE_ESCAPES, SECRET, SECRETS


def _challenging(challenge: str | Callable[[str], str], token: Act, *, accepts: bool = False) -> Act:
    """Want a token; serve well whoever has one, if `accepts`."""

    async def act(exchange: Exchange) -> None:
        if kind_of(exchange) == "token":
            await token(exchange)
        elif accepts and "authorization" in exchange.headers:
            await healthy(exchange)
        else:
            value = challenge if isinstance(challenge, str) else challenge(exchange.address)
            await exchange.json(
                {"errors": [{"code": "UNAUTHORIZED", "message": "no"}]}, 401, {"WWW-Authenticate": value}
            )

    return act


def _realm(address: str) -> str:
    return f'Bearer realm="http://{address}/token",service="lab",scope="repository:x:pull"'


def _answering(document: object) -> Act:
    async def act(exchange: Exchange) -> None:
        await exchange.json(document)

    return act


async def _drip_token(exchange: Exchange) -> None:
    await exchange.send(head(200, {"Content-Length": "1000"}))
    await exchange.drip(b'{"token": "' + b"a" * 900)


async def _token_again(exchange: Exchange) -> None:
    await exchange.json({}, 401, {"WWW-Authenticate": _realm(exchange.address)})


async def _drip_token_head(exchange: Exchange) -> None:
    await exchange.drip(head(200, {"X-Filler": "a" * 1000}))


for _name, _words, _challenge, _token in (
    ("token_never_enough", "refuses every token", _realm, healthy),
    ("token_401", "wants a token for a token", _realm, _token_again),
    ("token_endless", "sends a token without end", _realm, flood_body),
    ("token_drips", "sends the token at one byte a second", _realm, _drip_token),
    ("token_head_drips", "sends the head of the token's response at one byte a second", _realm, _drip_token_head),
    ("token_hangs", "never sends a token", _realm, hang),
    ("token_nested", "sends a token that is nested too deeply", _realm, _answering(b"[" * 100_000)),
    ("token_type", "sends a number as token", _realm, _answering({"token": 5})),
    ("token_list", "sends a list as token", _realm, _answering([1])),
    ("token_newline", "sends a token with a line break", _realm, _answering({"token": "a\r\nX-Injected: yes"})),
    ("token_escapes", "sends a token with terminal sequences", _realm, _answering({"token": ESCAPES})),
    ("token_redirects", "redirects to ever new token servers", _realm, redirect_anew),
    (
        "token_error",
        "refuses a token with terminal sequences and secrets",
        _realm,
        saying(403, {}, encoded({"errors": [{"message": ESCAPES + SECRETS}], "details": ESCAPES + SECRETS})),
    ),
    (
        "realm_with_secrets",
        "names a token server with secrets",
        f'Bearer realm="http://lab:{SECRET}@127.0.0.1:1/token?token={SECRET}"',
        healthy,
    ),
    ("realm_of_a_file", "names a file as token server", 'Bearer realm="file:///etc/hostname"', healthy),
    ("realm_of_no_url", "names what is no URL as token server", 'Bearer realm="http://[::1:::"', healthy),
    (
        "realm_of_port_99999",
        "names a port that is none as token server",
        'Bearer realm="http://127.0.0.1:99999/"',
        healthy,
    ),
    (
        "realm_escapes",
        "names a token server with terminal sequences",
        f'Bearer realm="http://127.0.0.1:1/{LINE_ESCAPES}"',
        healthy,
    ),
    (
        "challenge_1_mb",
        "sends a challenge of 1 MB",
        'Bearer realm="http://127.0.0.1:1/' + "a" * MEGABYTE + '"',
        healthy,
    ),
    ("challenge_of_commas", "sends a challenge of 60,000 commas and quotes", "Bearer " + ', ="' * 15_000, healthy),
    ("challenge_backslashes", "sends a challenge of 60,000 backslashes", 'Bearer realm="' + "\\" * 60_001, healthy),
    ("challenge_unknown", "wants what nobody has", f"Negotiate {LINE_ESCAPES}", healthy),
    ("challenge_missing", "says no way to authenticate", "", healthy),
):
    add(_name, _words, _challenging(_challenge, _token))
for _name, _words, _expires in (
    ("expires_1e400", "lets a token expire after 1e400 seconds", b'{"token": "t", "expires_in": 1e400}'),
    ("expires_negative", "lets a token expire before it begins", b'{"token": "t", "expires_in": -1}'),
    ("expires_text", "lets a token expire after some words", b'{"token": "t", "expires_in": "soon", "issued_at": 5}'),
    ("expires_nan", "lets a token expire never", b'{"token": "t", "expires_in": NaN}'),
):
    add(_name, _words, _challenging(_realm, _answering(_expires), accepts=True), harmless=True)
