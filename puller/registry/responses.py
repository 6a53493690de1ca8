"""Values in the responses of registries, and the parsing of headers."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import NamedTuple, Self

from puller.failure.retry_after import seconds_until
from puller.image.digest import is_digest
from puller.image.manifest import INDEX_TYPES, SINGLE_TYPES
from puller.registry.health import LONGEST_WAIT
from puller.system.addresses import ip_address
from puller.text import clean

_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?")
_QUOTA = re.compile(r"(?P<count>\d{1,9})(?!\d)(?:\s*;\s*w=(?P<window>\d{1,9})(?!\d))?")
_EPOCH = 1_000_000_000
"""Larger numbers are points in time in seconds since 1970, which Docker Hub sends."""
_RETRY_HEADERS = ("retry-after", "x-retry-after")
_RESET_HEADERS = ("ratelimit-reset", "x-ratelimit-reset")


class Challenge(NamedTuple):
    """One way to answer a 401 (RFC 9110 "WWW-Authenticate")."""

    scheme: str
    """In lower case: `basic`, `bearer`."""
    parameters: dict[str, str]
    """Names in lower case: `realm`, `service`, `scope`."""

    def without(self, name: str) -> "Challenge":
        return Challenge(self.scheme, {key: value for key, value in self.parameters.items() if key != name})


class Token(NamedTuple):
    """A token for one repository."""

    header: str
    """The Authorization header with the token."""
    ends: float
    """When it is no longer used, on the monotonic clock."""


class QuotaSource(StrEnum):
    """Whose quota it is."""

    ACCOUNT = "account"
    """That of whoever has logged in, wherever the pulls come from."""
    ADDRESS = "address"
    """That of all behind the public address that the registry sees."""


class Quota(NamedTuple):
    """The number of pulls that a registry allows in a time window, and the number left (Docker Hub's ratelimit-*)."""

    limit: int | None
    remaining: int | None
    window_seconds: int | None
    source: QuotaSource | None = None
    """None if the registry does not tell."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self | None:
        """Parse `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 76;w=21600`; None without either."""
        if "ratelimit-limit" not in headers and "ratelimit-remaining" not in headers:
            return None
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
            _source(headers.get("docker-ratelimit-source", "").strip()),
        )


class Described(NamedTuple):
    """The description of a manifest, without its content."""

    digest: str
    media_type: str
    size: int | None
    """Bytes of the manifest, if the registry sends the size."""
    quota: Quota | None = None

    @property
    def single(self) -> bool:
        """Whether it is the manifest of one image; False for an index and for unknown media types."""
        return self.media_type in SINGLE_TYPES


def wait_of(status: int, headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that a response asks for (RFC 9110 "Retry-After", or a quota's reset).

    At most `LONGEST_WAIT`; None without such a header.
    """
    quota = Quota.of(headers)
    limited = status == HTTPStatus.TOO_MANY_REQUESTS or (quota is not None and quota.remaining == 0)
    for name in (*_RETRY_HEADERS, *(_RESET_HEADERS if limited else ())):
        seconds = _seconds(headers.get(name, "").strip())
        if seconds is not None:
            return min(seconds, LONGEST_WAIT)
    if status == HTTPStatus.TOO_MANY_REQUESTS and quota is not None and quota.remaining == 0:
        return quota.window_seconds  # an upper bound: the window slides
    return None


def media_type_of(headers: Mapping[str, str]) -> str:
    """Return the media type without parameters, safe to print."""
    word = headers.get("content-type", "").partition(";")[0].strip().lower()
    return word if word in (*INDEX_TYPES, *SINGLE_TYPES) else clean(word, 255)


def digest_in(headers: Mapping[str, str]) -> str | None:
    """Return the Docker-Content-Digest; None if it is missing, invalid, or sent with several values."""
    values = {value.strip() for value in headers.get("docker-content-digest", "").split(",")}
    digest = values.pop() if len(values) == 1 else ""
    return digest if is_digest(digest) else None


def size_of(headers: Mapping[str, str]) -> int | None:
    """Return the Content-Length; None if it is missing or invalid."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < len(str(1 << 63)) else None


def _source(text: str) -> QuotaSource | None:
    """Read Docker Hub's `docker-ratelimit-source`: an IP address, or the ID of an account."""
    if ip_address(text):
        return QuotaSource.ADDRESS
    return QuotaSource.ACCOUNT if text else None


def _seconds(text: str) -> float | None:
    """Parse a number of seconds, seconds since 1970, or an HTTP date."""
    if _NUMBER.fullmatch(text):
        number = float(text)
        return max(0.0, number - time.time()) if number >= _EPOCH else number
    wait = seconds_until(text, datetime.now(UTC)) if text else None
    return None if wait is None else max(0.0, wait)
