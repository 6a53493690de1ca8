"""Digests: recognise, compute and verify them (OCI image spec "Digests")."""

import hashlib
import re
from typing import TypeGuard

from puller.text import clean

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def is_digest(text: object) -> TypeGuard[str]:
    """Tell whether `text` is a sha256 or sha512 digest, the two algorithms that puller can verify."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def matches(digest: str, data: bytes) -> bool:
    """Tell whether `data` has this digest; False also for a digest of another algorithm."""
    algorithm, _, value = digest.partition(":")
    return is_digest(digest) and hashlib.new(algorithm, data).hexdigest() == value


def hasher(digest: str) -> "hashlib._Hash":
    """Return a new hash object for the algorithm of a valid digest."""
    return hashlib.new(digest.partition(":")[0])


def sha256(data: bytes) -> str:
    """Return the sha256 digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def short_digest(digest: str | None) -> str:
    """Return the first 12 hexadecimal digits, as docker shows them; empty without a digest."""
    return clean(digest or "").partition(":")[2][:12]
