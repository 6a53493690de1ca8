"""Lists from http(s) URLs, with an optional checksum: `https://…/compose.yaml#sha256=HEX`."""

import base64
import hashlib
import os
import re
import zlib
from contextlib import suppress
from http import HTTPStatus
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from puller.errors import ListError
from puller.http import HttpClient, HttpError, HttpErrorKind, HttpResponse
from puller.imagelist.source import LARGEST, bounded, is_url, too_large
from puller.system.files import open_regular
from puller.text import clean, source_name

_CHECKSUM = r"(?i)sha256[=:]([0-9a-f]{64})"
_REDIRECTS = 5
_STALL_TIMEOUT = 30
"""Seconds to connect, and without a byte."""
_TIMEOUT = 120
"""Seconds for the whole download."""
_COMPRESSED = {"gzip", "x-gzip", "deflate"}
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def fetch(url: str) -> bytes:
    """Download a URL; raise ListError when that fails or the checksum differs."""
    name = clean(source_name(url))
    address, _, fragment = url.partition("#")
    wanted = re.fullmatch(_CHECKSUM, fragment)
    if fragment and not wanted:
        raise ListError([f"{name}: the part after # must be sha256= and 64 hexadecimal digits"])
    try:
        with HttpClient(connect=_STALL_TIMEOUT, read=_STALL_TIMEOUT) as client:
            data = _body(client, address, name)
    except (HttpError, ValueError, zlib.error) as error:
        raise ListError([f"{name}: cannot be fetched: {clean(str(error), 200)}"]) from None
    found = hashlib.sha256(data).hexdigest()
    if wanted and found != wanted[1].lower():
        raise ListError([f"{name}: checksum mismatch: its sha256 is {found}"])
    return data


def _body(client: HttpClient, url: str, name: str) -> bytes:
    with _final(client, url, name) as response:
        if response.status >= HTTPStatus.BAD_REQUEST:
            # HTTP/2 has no reason phrases.
            reason = response.reason or next((each.phrase for each in HTTPStatus if each == response.status), "")
            raise ValueError(f"HTTP {response.status} {reason}")
        try:
            data = response.read(LARGEST, _TIMEOUT)
        except HttpError as error:
            if error.kind is HttpErrorKind.TOO_LARGE:
                raise too_large(name) from None
            if error.kind is HttpErrorKind.TOO_SLOW:
                raise ValueError(f"not complete after {_TIMEOUT} seconds") from None
            raise
        if response.headers.get("content-encoding", "").lower() in _COMPRESSED:  # although it was not requested
            data = zlib.decompressobj(_GZIP_OR_ZLIB).decompress(data, LARGEST + 1)
        return bounded(data, name)


def _final(client: HttpClient, url: str, name: str) -> HttpResponse:
    """Follow redirects, but only to http(s), and never from https to http."""
    for _ in range(_REDIRECTS + 1):
        response = client.send("GET", url, _authorization(url))
        if response.target is None:
            return response
        response.close()
        there = urljoin(url, response.target)
        if not is_url(there) or (url.lower().startswith("https:") and not there.lower().startswith("https:")):
            raise ListError([f"{name}: redirects to {clean(source_name(there))}, which is not allowed"])
        url = there
    raise ListError([f"{name}: redirects more than {_REDIRECTS} times"])


def _authorization(url: str) -> dict[str, str]:
    """Return a header with the user and password of the URL, or else those in ~/.netrc for its host."""
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user and parts.hostname:
        with suppress(OSError, NetrcParseError, RuntimeError):
            path = os.environ.get("NETRC") or Path("~/.netrc").expanduser()
            open_regular(path).close()  # reading from a FIFO would not end
            user, _, password = netrc(path).authenticators(parts.hostname) or ("", "", "")
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"} if user else {}
