"""Digests: recognise, compute and verify them (OCI image spec "Digests")."""

import hashlib
import re

from puller.text import clean

_DIGEST = re.compile(r"(?P<algorithm>sha256|sha512):(?P<hex>[0-9a-f]{64}|[0-9a-f]{128})")


def is_digest(text: str | None) -> bool:
    """Tell whether `text` is a sha256 or sha512 digest, the two algorithms that puller can verify."""
    return text is not None and _parse(text) is not None


def matches(digest: str, data: bytes) -> bool:
    """Tell whether `data` has this digest; False also for a digest of another algorithm."""
    found = _parse(digest)
    return found is not None and hashlib.new(found["algorithm"], data).hexdigest() == found["hex"]


def hasher(digest: str) -> "hashlib._Hash":
    """Return a new hash object for the algorithm of a valid digest."""
    return hashlib.new(digest.partition(":")[0])


def sha256(data: bytes) -> str:
    """Return the sha256 digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def short_digest(digest: str | None) -> str:
    """Return the first 12 hexadecimal digits, as docker shows them; empty without a digest."""
    return clean(digest or "").partition(":")[2][:12]


def _parse(digest: str) -> re.Match[str] | None:
    found = _DIGEST.fullmatch(digest)
    length = {"sha256": 64, "sha512": 128}
    return found if found and len(found["hex"]) == length[found["algorithm"]] else None
