"""Layers of reproducible bytes: the same seed always gives the same digest, so images can share them."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import random
import tarfile
from dataclasses import dataclass, field

_AT_ONCE = 1 << 26
"""Bytes; of more than 2 ** 28 Python's generator makes no number."""


@dataclass(frozen=True)
class Layer:
    """A gzipped tar, the digest a registry knows it by, and the digest of the tar inside."""

    data: bytes = field(repr=False)
    digest: str
    diff_id: str


@functools.lru_cache(maxsize=256)
def layer(seed: str | int, size: int = 1024) -> Layer:
    """Return a layer with one file of incompressible bytes; the same seed and size always give the same digest."""
    source = random.Random(seed)
    content = b"".join(source.randbytes(min(_AT_ONCE, size - at)) for at in range(0, size, _AT_ONCE))
    return layer_of(f"opt/{seed}.bin".replace(":", "_"), content)


def layer_of(path: str, content: bytes) -> Layer:
    """Return a layer with one file of the given content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(path)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    data = gzip.compress(buffer.getvalue(), 1, mtime=0)
    return Layer(data, digest_of(data), digest_of(buffer.getvalue()))


def digest_of(data: bytes) -> str:
    """Return the digest by which registries and engines name these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
