"""A list from an http(s) URL, checked against a sum where one is given: `https://…/compose.yaml#sha256=HEX`."""

import hashlib
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from puller.errors import ListError
from puller.imagelist.origin import LARGEST, bounded
from puller.imagelist.source import ComposeOptions as ComposeWay, ListSource as Origin
from puller.text import clean

if TYPE_CHECKING:
    from requests import Response, Session


_SCHEME = re.compile(r"(?i)https?://")
_SUM = re.compile(r"(?i)sha256[=:]([0-9a-f]{64})")
_REDIRECTS = 5
_SILENCE = 30
"""Seconds without a byte."""
_PATIENCE = 120
"""Seconds in all."""
_CHUNK = 64 * 1024


def is_url(path: str) -> bool:
    """Whether a list is named by a URL."""
    return bool(_SCHEME.match(path))


def describe(url: str, profiles: tuple[str, ...] = ()) -> Origin:
    """Name a URL without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return Origin(urlunsplit((parts.scheme, host, parts.path, "", "")), compose=ComposeWay(profiles))
    except ValueError:
        return Origin(clean(url), compose=ComposeWay(profiles))


def fetch(url: str) -> bytes:
    """Fetch what a URL names; raise ListError with one line."""
    import requests  # noqa: PLC0415 - a list in a file must not pay for it

    name = clean(describe(url).name)
    address, _, fragment = url.partition("#")
    wanted = _SUM.fullmatch(fragment)
    if fragment and not wanted:
        raise ListError([f"{name}: what follows # must be sha256= and 64 hexadecimal digits"])
    try:
        with requests.Session() as session:
            data = _body(session, address, name)
    except (requests.RequestException, ValueError, OSError) as error:
        raise ListError([f"{name}: cannot be fetched: {_reason(error)}"]) from None
    found = hashlib.sha256(data).hexdigest()
    if wanted and found != wanted[1].lower():
        raise ListError([f"{name}: not what was expected: its sha256 is {found}"])
    return data


def _body(session: "Session", url: str, name: str) -> bytes:
    deadline = time.monotonic() + _PATIENCE
    with _final(session, url, name) as response:
        if not response.ok:
            raise ListError([f"{name}: cannot be fetched: HTTP {response.status_code} {clean(response.reason or '')}"])
        data = bytearray()
        for chunk in response.iter_content(_CHUNK):
            data += chunk
            if len(data) > LARGEST:
                break
            if time.monotonic() > deadline:
                raise ListError([f"{name}: cannot be fetched: not complete after {_PATIENCE} seconds"])
        return bounded(bytes(data), name)


def _final(session: "Session", url: str, name: str) -> "Response":
    """Follow redirects, by hand: never to another scheme than http(s), never from https down to http."""
    for _ in range(_REDIRECTS + 1):
        response = session.get(url, stream=True, timeout=_SILENCE, allow_redirects=False)
        target = response.headers.get("location") if response.is_redirect else None
        if target is None:
            return response
        response.close()
        there = urljoin(url, target)
        if not is_url(there) or (url.lower().startswith("https:") and not there.lower().startswith("https:")):
            raise ListError([f"{name}: redirects to {clean(describe(there).name)}, which is not followed"])
        url = there
    raise ListError([f"{name}: redirects more than {_REDIRECTS} times"])


def _reason(error: Exception) -> str:
    """Say the innermost reason: the outer ones repeat the address, with all that is in it."""
    inner: BaseException = error
    for _ in range(10):
        parts = (getattr(inner, "reason", None), inner.__cause__, *inner.args)
        following = next((part for part in parts if isinstance(part, BaseException)), None)
        if following is None:
            break
        inner = following
    text = getattr(inner, "strerror", None) or str(inner).rpartition(">: ")[2] or type(inner).__name__
    return clean(text, 200)
