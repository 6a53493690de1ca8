"""Lists from http(s) URLs, with an optional checksum: `https://…/compose.yaml#sha256=HEX`."""

import base64
import hashlib
import os
import re
import zlib
from contextlib import suppress
from http import HTTPStatus
from netrc import NetrcParseError, netrc
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from puller.errors import ListError
from puller.http import HttpClient, HttpError, HttpErrorKind, HttpResponse
from puller.imagelist.source import LARGEST, ComposeOptions, ListSource, bounded, is_url, too_large
from puller.text import clean

_CHECKSUM = re.compile(r"(?i)sha256[=:]([0-9a-f]{64})")
_REDIRECTS = 5
_STALL_TIMEOUT = 30
"""Seconds to connect, and without a byte."""
_TIMEOUT = 120
"""Seconds for the whole download."""
_COMPRESSED = {"gzip", "x-gzip", "deflate"}
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def describe(url: str, profiles: tuple[str, ...] = ()) -> ListSource:
    """Return the source of a URL; its name has no user, password or query."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return ListSource(urlunsplit((parts.scheme, host, parts.path, "", "")), compose=ComposeOptions(profiles))
    except ValueError:
        return ListSource(clean(url), compose=ComposeOptions(profiles))


def fetch(url: str) -> bytes:
    """Download a URL; raise ListError when that fails or the checksum differs."""
    name = clean(describe(url).name)
    address, _, fragment = url.partition("#")
    wanted = _CHECKSUM.fullmatch(fragment)
    if fragment and not wanted:
        raise ListError([f"{name}: the part after # must be sha256= and 64 hexadecimal digits"])
    try:
        with HttpClient(connect=_STALL_TIMEOUT, read=_STALL_TIMEOUT) as client:
            data = _body(client, address, name)
    except (HttpError, ValueError) as error:
        raise ListError([f"{name}: cannot be fetched: {clean(str(error), 200)}"]) from None
    found = hashlib.sha256(data).hexdigest()
    if wanted and found != wanted[1].lower():
        raise ListError([f"{name}: checksum mismatch: its sha256 is {found}"])
    return data


def _body(client: HttpClient, url: str, name: str) -> bytes:
    with _final(client, url, name) as response:
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ListError([f"{name}: cannot be fetched: HTTP {response.status} {clean(_reason(response))}"])
        try:
            data = response.read(LARGEST, _TIMEOUT)
        except HttpError as error:
            if error.kind is HttpErrorKind.TOO_LARGE:
                raise too_large(name) from None
            if error.kind is HttpErrorKind.TOO_SLOW:
                words = f"not complete after {_TIMEOUT} seconds"
                raise ListError([f"{name}: cannot be fetched: {words}"]) from None
            raise
        if response.headers.get("content-encoding", "").lower() in _COMPRESSED:  # although it was not requested
            data = _decompressed(data)
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
            raise ListError([f"{name}: redirects to {clean(describe(there).name)}, which is not allowed"])
        url = there
    raise ListError([f"{name}: redirects more than {_REDIRECTS} times"])


def _authorization(url: str) -> dict[str, str]:
    """Return a header with the user and password of the URL, or else those in ~/.netrc for its host."""
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user and parts.hostname:
        with suppress(OSError, NetrcParseError, RuntimeError):
            user, _, password = netrc(os.environ.get("NETRC")).authenticators(parts.hostname) or ("", "", "")
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"} if user else {}


def _decompressed(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(_GZIP_OR_ZLIB).decompress(data, LARGEST + 1)
    except zlib.error as error:
        raise ValueError(f"it cannot be decompressed: {error}") from None


def _reason(response: HttpResponse) -> str:
    with suppress(ValueError):
        return response.reason or HTTPStatus(response.status).phrase  # HTTP/2 has no reason phrases
    return response.reason
