"""Odd things to hand to puller: image lists made of seeded noise, and what hostile registries answer."""

import json
import random
from collections.abc import Callable

from tests.lab import faults
from tests.lab.faults import Action
from tests.lab.unsafe_text import ESCAPES, SECRET, SECRETS

_HTML = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title><script>alert(1)</script></head></html>"


def _errors(message: str) -> bytes:
    return json.dumps({"errors": [{"code": "DENIED", "message": message, "detail": message}]}).encode()


_JSON, _PAGE = {"Content-Type": "application/json"}, {"Content-Type": "text/html"}
ANSWERS: dict[str, Callable[[], Action]] = {
    "escapes": lambda: faults.answer(403, _JSON, _errors(ESCAPES)),
    "raw-escapes": lambda: faults.answer(500, {"Content-Type": "text/plain"}, ESCAPES.encode()),
    "secrets": lambda: faults.answer(403, _JSON, _errors(SECRETS)),
    "raw-secrets": lambda: faults.answer(500, {"Content-Type": "text/plain"}, SECRETS.encode()),
    "html": lambda: faults.answer(404, _PAGE, _HTML.encode()),
    "html-ok": lambda: faults.answer(200, _PAGE, _HTML.encode()),
    "huge": lambda: faults.answer(403, _JSON, _errors(ESCAPES + SECRETS + "A" * 10_000_000)),
    "huge-html": lambda: faults.answer(503, _PAGE, _HTML.encode() * 100_000),
    "huge-limit": lambda: faults.answer(429, _JSON | {"Retry-After": "9" * 400}, _errors(SECRETS + "B" * 10_000_000)),
    "secret-redirect": lambda: faults.answer(
        307, {"Location": f"http://lab:{SECRET}@127.0.0.1:1/blob?X-Amz-Signature={SECRET}&token={SECRET}"}
    ),
    "secret-challenge": lambda: faults.answer(
        401, {"WWW-Authenticate": f'Bearer realm="http://lab:{SECRET}@127.0.0.1:1/token?token={SECRET}",service="x"'}
    ),
}
"""What a registry, or its server of tokens, answers."""

_PIECES = (
    *(b"nginx", b"nginx:1.27", b"127.0.0.1:1/a/b:v1", b"a@sha256:" + b"0" * 64, b"UPPER/Case", b"image:", b"A"),
    *(b"--platform=linux/arm64 ", b"--platform=", b"--help", b"-", b"#", b" # ", b" ", b"\t", b":", b"/", b"@", b".."),
    *(b"'", b'"', b"'\"'\"'", b"`id`", b"$(id)", b"; rm -rf /", b"\\", b"\\x1b", b"%s%n", b"{0.__class__}"),
    *(b"[", b"{", b"&a [*a]", b"\r", b"\x0c", b"\x00", b"\x07", b"\x08", b"\x7f", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(b"\x1b[31m", b"\x1b]0;t\x07", b"\x9b2J", b"\xc2\x9b2J", b"\xed\xa0\x80", b"\xc0\x80", b"\xf0\x9f\x90\xb3"),
    *(b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xc2\x85"),
)
_ENDS = (b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b"\x00", b"\x0b", b"")


def odd_list(seed: int) -> bytes:
    """Make an image list of noise; the same seed makes the same list."""
    chance = random.Random(seed)
    lines = []
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        line = b"".join(_piece(chance) for _ in range(chance.choice((1, 1, 2, 3, 6))))
        lines.append(line * chance.choice((1,) * 12 + (50, 5000)) + chance.choice(_ENDS))
    return b"".join(lines)


def _piece(chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        return chance.randbytes(chance.randrange(1, 20))
    return chance.choice(_PIECES)
