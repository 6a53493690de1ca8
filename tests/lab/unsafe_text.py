"""Text that no output may repeat: secrets, terminal sequences, marks that reorder a line."""

import base64
import re
from collections.abc import Iterator

SECRET = "hunter2s3cr3t"
"""What no output may contain."""
ENCODED = "aHVudGVyMnMzY3IzdA=="
"""The same in base64, as it stands in a header."""
USER = "lab"
LOGIN = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
"""A user with this password, as docker's config.json and the header of Basic authentication contain it."""
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Every control character but the line feed, and the marks that turn text around."""

ESCAPES = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\x9b1m \r\n\x08\x00 \u202egnirts"
LINE_ESCAPES = ESCAPES.replace("\r\n", "").replace("\x00", "")
"""Those that fit into one line of a header."""
SECRETS = (
    f"Authorization: Bearer {SECRET}.{SECRET}.x ; authorization: Basic {ENCODED} ; "
    f"https://lab:{SECRET}@registry.invalid/v2/ ; https://registry.invalid/t?token={SECRET}&X-Amz-Signature={SECRET} ; "
    f'{{"password": "{SECRET}", "identitytoken":"{SECRET}"}} ; access_token={SECRET}'
)


def controls(text: str) -> Iterator[str]:
    """Find control characters, each with some text around it."""
    for found in CONTROL.finditer(text):
        yield repr(text[max(found.start() - 40, 0) : found.end() + 40])


def faults_in(text: str) -> list[str]:
    """Name what no output may contain, and this one does."""
    found = [f"control character in {place}" for place in controls(text)]
    for word in (SECRET, ENCODED, LOGIN, "Traceback", "please report it", "internal error in"):
        place = text.find(word)
        if place >= 0:
            found.append(f"{word!r} in {text[max(place - 80, 0) : place + 80]!r}")
    return found
