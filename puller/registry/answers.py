"""What a registry says, as frozen values, and the one exception for all that can go wrong on the way."""

import hashlib
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from puller.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
SINGLE_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile(r"(?P<algorithm>sha256|sha512):(?P<hex>[0-9a-f]{64}|[0-9a-f]{128})")
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?")
_QUOTA = re.compile(r"(?P<count>\d{1,9})(?:\s*;\s*w=(?P<window>\d{1,9}))?")
_EPOCH = 1_000_000_000
"""A number of seconds this large is a point in time: Docker Hub sends those, too."""
_AT_ONCE = ("retry-after", "x-retry-after")
_WHEN_LIMITED = ("ratelimit-reset", "x-ratelimit-reset")
_LONGEST_MESSAGE = 300


class RegistryTroubleError(Exception):
    """The registry could not be asked, or its answer cannot be used; a reason to ask the engine, and no more.

    `status` is that of the HTTP answer, if there was one; `wait` is how many seconds the registry wants us to wait;
    `lost` tells that there was no answer, or no whole one, so that the next question will hardly fare better, and
    `late` that it was waited for in vain.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        wait: float | None = None,
        lost: bool = False,
        late: bool = False,
    ) -> None:
        self.message = clean(message, _LONGEST_MESSAGE)
        super().__init__(self.message)
        self.status = status
        self.wait = wait
        self.lost = lost
        self.late = late


@dataclass(frozen=True, slots=True)
class Quota:
    """How many pulls a registry allows in a window of time, and how many are left (Docker Hub's ratelimit-*)."""

    limit: int | None
    remaining: int | None
    window_seconds: int | None

    @classmethod
    def of(cls, headers: "Mapping[str, str]") -> Self | None:
        """Read `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 76;w=21600`; None where neither is there."""
        limit, remaining = (
            _QUOTA.match(headers.get(f"ratelimit-{name}", "").strip()) for name in ("limit", "remaining")
        )
        window = next((found["window"] for found in (limit, remaining) if found and found["window"]), None)
        if limit is None and remaining is None:
            return None
        return cls(
            int(limit["count"]) if limit else None,
            int(remaining["count"]) if remaining else None,
            int(window) if window else None,
        )


@dataclass(frozen=True, slots=True)
class Described:
    """What a tag or a digest stands for, without its content."""

    digest: str
    media_type: str
    size: int | None
    """Bytes of the manifest, where the registry said so."""
    quota: Quota | None = None

    @property
    def single(self) -> bool:
        """Whether it is the manifest of one image; an index is not, and what calls itself anything else may be one."""
        return self.media_type in SINGLE_TYPES


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index, byte by byte as the registry has it, checked against its digest."""

    raw: bytes
    media_type: str
    digest: str


def wait_of(status: int, headers: "Mapping[str, str]") -> float | None:
    """Return the seconds that an answer asks us to wait (RFC 9110 "Retry-After", or a quota's reset)."""
    quota = Quota.of(headers)
    limited = status == HTTPStatus.TOO_MANY_REQUESTS or (quota is not None and quota.remaining == 0)
    for name in (*_AT_ONCE, *(_WHEN_LIMITED if limited else ())):
        seconds = _seconds(headers.get(name, "").strip())
        if seconds is not None:
            return seconds
    if status == HTTPStatus.TOO_MANY_REQUESTS and quota is not None and quota.remaining == 0:
        return quota.window_seconds  # at most: the window slides
    return None


def is_digest(text: str | None) -> bool:
    """Tell whether this is a digest that can be checked: sha256 or sha512 (OCI image spec "Digests")."""
    return text is not None and _parse(text) is not None


def matches(digest: str, data: bytes) -> bool:
    """Tell whether bytes have this digest; False, too, for a digest that cannot be checked."""
    found = _parse(digest)
    return found is not None and hashlib.new(found["algorithm"], data).hexdigest() == found["hex"]


def hasher(digest: str) -> "hashlib._Hash":
    """Return a fresh hash of a checked digest's algorithm."""
    return hashlib.new(digest.partition(":")[0])


def sha256(data: bytes) -> str:
    """Return the digest of bytes that came without one."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def media_type_of(headers: "Mapping[str, str]") -> str:
    """Return the media type without its parameters, as one safe word."""
    word = headers.get("content-type", "").partition(";")[0].strip().lower()
    return word if word in (*INDEX_TYPES, *SINGLE_TYPES) else clean(word, 255)


def size_of(headers: "Mapping[str, str]") -> int | None:
    """Return what Content-Length says, if it says a number."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < len(str(1 << 63)) else None


def _parse(digest: str) -> "re.Match[str] | None":
    found = _DIGEST.fullmatch(digest)
    length = {"sha256": 64, "sha512": 128}
    return found if found and len(found["hex"]) == length[found["algorithm"]] else None


def _seconds(text: str) -> float | None:
    """Read seconds from now, seconds since 1970, or an HTTP date."""
    if _NUMBER.fullmatch(text):
        number = float(text)
        return max(0.0, number - time.time()) if number >= _EPOCH else number
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - few answers have a date that counts

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
