"""A list from an http(s) URL, checked against a sum where one is given: `https://…/compose.yaml#sha256=HEX`."""

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
from puller.imagelist.source import LARGEST, ComposeOptions, ListSource, bounded, too_large
from puller.text import clean

_SCHEME = re.compile(r"(?i)https?://")
_SUM = re.compile(r"(?i)sha256[=:]([0-9a-f]{64})")
_REDIRECTS = 5
_SILENCE = 30
"""Seconds without a byte."""
_PATIENCE = 120
"""Seconds in all."""
_PACKED = {"gzip", "x-gzip", "deflate"}
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def is_url(path: str) -> bool:
    """Whether a list is named by a URL."""
    return bool(_SCHEME.match(path))


def describe(url: str, profiles: tuple[str, ...] = ()) -> ListSource:
    """Name a URL without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return ListSource(urlunsplit((parts.scheme, host, parts.path, "", "")), compose=ComposeOptions(profiles))
    except ValueError:
        return ListSource(clean(url), compose=ComposeOptions(profiles))


def fetch(url: str) -> bytes:
    """Fetch what a URL names; raise ListError with one line."""
    name = clean(describe(url).name)
    address, _, fragment = url.partition("#")
    wanted = _SUM.fullmatch(fragment)
    if fragment and not wanted:
        raise ListError([f"{name}: what follows # must be sha256= and 64 hexadecimal digits"])
    try:
        with HttpClient(connect=_SILENCE, read=_SILENCE) as client:
            data = _body(client, address, name)
    except (HttpError, ValueError) as error:
        raise ListError([f"{name}: cannot be fetched: {clean(str(error), 200)}"]) from None
    found = hashlib.sha256(data).hexdigest()
    if wanted and found != wanted[1].lower():
        raise ListError([f"{name}: not what was expected: its sha256 is {found}"])
    return data


def _body(client: HttpClient, url: str, name: str) -> bytes:
    with _final(client, url, name) as response:
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ListError([f"{name}: cannot be fetched: HTTP {response.status} {clean(_reason(response))}"])
        try:
            data = response.read(LARGEST, _PATIENCE)
        except HttpError as error:
            if error.kind is HttpErrorKind.TOO_LARGE:
                raise too_large(name) from None
            if error.kind is HttpErrorKind.TOO_SLOW:
                words = f"not complete after {_PATIENCE} seconds"
                raise ListError([f"{name}: cannot be fetched: {words}"]) from None
            raise
        if response.headers.get("content-encoding", "").lower() in _PACKED:  # although nobody asked for it
            data = _unpacked(data)
        return bounded(data, name)


def _final(client: HttpClient, url: str, name: str) -> HttpResponse:
    """Follow redirects: never to another scheme than http(s), never from https down to http."""
    for _ in range(_REDIRECTS + 1):
        response = client.send("GET", url, _authorization(url))
        if response.target is None:
            return response
        response.close()
        there = urljoin(url, response.target)
        if not is_url(there) or (url.lower().startswith("https:") and not there.lower().startswith("https:")):
            raise ListError([f"{name}: redirects to {clean(describe(there).name)}, which is not followed"])
        url = there
    raise ListError([f"{name}: redirects more than {_REDIRECTS} times"])


def _authorization(url: str) -> dict[str, str]:
    """Send the user and password of the URL itself, or those that ~/.netrc has for its host, and nowhere else."""
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user and parts.hostname:
        with suppress(OSError, NetrcParseError, RuntimeError):
            user, _, password = netrc(os.environ.get("NETRC")).authenticators(parts.hostname) or ("", "", "")
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"} if user else {}


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(_GZIP_OR_ZLIB).decompress(data, LARGEST + 1)
    except zlib.error as error:
        raise ValueError(f"it cannot be unpacked: {error}") from None


def _reason(response: HttpResponse) -> str:
    with suppress(ValueError):
        return response.reason or HTTPStatus(response.status).phrase  # HTTP/2 has no reasons
    return response.reason
