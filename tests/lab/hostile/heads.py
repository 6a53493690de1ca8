"""Heads of responses: dripping, without end, of no form."""

import asyncio

from tests.lab.hostile.image import (
    CHUNKED,
    MEGABYTE,
    OK,
    TABLE,
    add,
    begin_chunks,
    encoded,
    hang,
    healthy,
    image_of,
    raw,
    saying,
)
from tests.lab.raw_http import Exchange, head
from tests.lab.unsafe_text import ENCODED, ESCAPES, LINE_ESCAPES, SECRET, SECRETS


@TABLE.add("sends the head of every response at one byte a second")
async def _drips_head(exchange: Exchange) -> None:
    await exchange.drip(head(200, image_of(exchange).headers | {"X-Filler": "a" * 1000}))


@TABLE.add("sends 100 Continue for ever")
async def _continues(exchange: Exchange) -> None:
    while True:
        await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.2)


@TABLE.add("sends 103 Early Hints for ever, as fast as it can")
async def _early_hints(exchange: Exchange) -> None:
    await exchange.flood(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100)


@TABLE.add("sends a header line without end")
async def _endless_header(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    await exchange.flood()


@TABLE.add("sends header lines without end")
async def _endless_headers(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\n")
    await exchange.flood(b"X-One: more\r\n" * 500)


@TABLE.add("sends headers of 10 MB")
async def _huge_headers(exchange: Exchange) -> None:
    fields = {f"X-{number}": "a" * 1000 for number in range(10_000)}
    image = image_of(exchange)
    await exchange.reply(200, image.headers | fields, image.manifest)


@TABLE.add("closes every connection at once")
async def _closes_at_once(exchange: Exchange) -> None:
    exchange.close()


@TABLE.add("closes in the middle of a head")
async def _closes_in_head(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    exchange.close()


@TABLE.add("never answers")
async def _never_answers(exchange: Exchange) -> None:
    await exchange.hang()


@TABLE.add("never answers a TLS handshake", tls=hang, harmless=True)
async def _never_shakes_hands(exchange: Exchange) -> None:
    await healthy(exchange)


async def _garbage(exchange: Exchange) -> None:
    await exchange.flood(b"\x16\x03\x03\xff\xff" + ESCAPES.encode() * 1000)


@TABLE.add("answers a TLS handshake with a flood of records that are none", tls=_garbage, harmless=True)
async def _shakes_hands_badly(exchange: Exchange) -> None:
    await healthy(exchange)


@TABLE.add("repeats the credentials that it was sent")
async def _repeats_credentials(exchange: Exchange) -> None:
    sent = exchange.headers.get("authorization", "")
    if sent:
        message = f"{sent} is not welcome ({SECRET})"
        await exchange.json({"errors": [{"code": "DENIED", "message": message, "detail": sent}]}, 403)
    else:
        await exchange.json({}, 401, {"WWW-Authenticate": 'Basic realm="x"'})


for _name, _words, _data in (
    ("status_99999", "sends a status of five digits", b"HTTP/1.1 99999 Much\r\n{fields}{length}\r\n"),
    ("status_000", "sends the status 000", b"HTTP/1.1 000 None\r\n{fields}{length}\r\n"),
    ("status_negative", "sends a negative status", b"HTTP/1.1 -200 OK\r\n{fields}{length}\r\n"),
    ("status_missing", "sends no status", b"HTTP/1.1\r\n{fields}{length}\r\n"),
    ("http_0_9", "speaks HTTP/0.9", b'{"schemaVersion": 2}' * 100),
    ("terminal_text", "sends terminal sequences instead of HTTP", ESCAPES.encode() * 100 + b"\r\n\r\n"),
    ("ssh", "is a server of another protocol", b"SSH-2.0-OpenSSH_9.2p1 " + LINE_ESCAPES.encode() + b"\r\n"),
    ("long_reason", "sends a reason of 1 MB", b"HTTP/1.1 500 " + b"A" * MEGABYTE + b"\r\nContent-Length: 0\r\n\r\n"),
    (
        "escapes_in_reason",
        "sends terminal sequences and a secret in the reason",
        f"HTTP/1.1 418 {LINE_ESCAPES} Authorization: Basic {ENCODED}\r\nContent-Length: 0\r\n\r\n".encode(),
    ),
):
    add(_name, _words, raw(_data))
for _name, _words, _data in (
    ("headers_of_no_form", "sends header lines without colons", OK + b"no colon here\r\n{length}\r\n"),
    ("folded_headers", "sends folded header lines", OK + b"X-Folded: a\r\n b\r\n\tc\r\n{length}\r\n"),
    ("two_lengths", "sends two lengths", OK + b"{length}Content-Length: 7\r\n\r\n"),
    ("length_negative", "sends a negative length", OK + b"Content-Length: -5\r\n\r\n"),
    ("length_huge", "sends a length of thirty digits", OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n"),
    ("length_no_number", "sends a length that is no number", OK + b"Content-Length: 1e400\r\n\r\n"),
    ("length_too_large", "sends less than it says", OK + b"Content-Length: 1000000\r\n\r\n"),
    ("length_too_small", "sends more than it says", OK + b"Content-Length: 7\r\n\r\n"),
    ("chunk_huge", "sends a chunk of 2^64-1 bytes", CHUNKED + b"ffffffffffffffff\r\n"),
    ("chunk_overflow", "sends a chunk length of a hundred digits", CHUNKED + b"f" * 100 + b"\r\n"),
    ("chunk_negative", "sends a chunk of negative length", CHUNKED + b"-1\r\n"),
    ("chunk_no_number", "sends a chunk length that is no number", CHUNKED + b"zz\x1b[31m\r\n"),
):
    add(_name, _words, raw(_data, manifest=True), kind="manifest", harmless=True)


async def _endless_chunk_line(exchange: Exchange) -> None:
    await begin_chunks(exchange)
    await exchange.send(b"5;name=")
    await exchange.flood()


add("chunk_line_endless", "sends a chunk extension without end", _endless_chunk_line, kind="manifest", methods=("GET",))
add(
    "escapes_in_headers",
    "sends terminal sequences and secrets in every header",
    saying(
        404,
        dict.fromkeys(
            ("Content-Type", "Docker-Content-Digest", "Server", "Warning", "Retry-After", "Location", "ETag"),
            LINE_ESCAPES + SECRET,
        ),
    ),
)
add(
    "escapes_in_errors",
    "sends terminal sequences and secrets in its errors",
    saying(403, {}, encoded({"errors": [{"code": ESCAPES, "message": ESCAPES + SECRETS, "detail": SECRETS}] * 9})),
    unknown=True,
)
add("errors_of_no_form", "sends errors of wrong types", saying(403, {}, b'{"errors": [1, null, {"code": {"a": []}}]}'))
add("errors_nested", "sends errors that are nested too deeply", saying(403, {}, b'{"errors":' + b"[" * 100_000))
add("errors_html", "sends a page", saying(502, {"Content-Type": "text/html"}, b"<html><title>" + b"x" * MEGABYTE))
