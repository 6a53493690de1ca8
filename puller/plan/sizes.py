"""Learns from registries what images come to: their configs, and how large their layers get."""

from puller.errors import RegistryError
from puller.image.manifest import Descriptor, ImageManifest
from puller.image.reference import ImageReference
from puller.plan.layers import GROWTH
from puller.registry.client import RegistryClient

_LARGEST_CONFIG = 4 << 20
_TRAILER = 4
"""Bytes at the end of gzip data: the size unpacked, modulo 2^32 (RFC 1952)."""
_MODULUS = 1 << 32
_SHRINKS = 0.9
"""Compressing makes nothing much larger; a smaller size is that of the last of several streams."""


def config_of(client: RegistryClient, reference: ImageReference, parts: ImageManifest) -> bytes:
    """Fetch an image's config, checked; raises RegistryError, also for one that is absurdly large."""
    raw = bytearray()
    with client.blob(reference, parts.config.digest) as blob:
        for chunk in blob:
            raw += chunk
            if len(raw) > _LARGEST_CONFIG:
                raise RegistryError(f"{reference.registry}: the config of {reference} has no end")
    return bytes(raw)


def unpacked_size(client: RegistryClient, reference: ImageReference, layer: Descriptor) -> int | None:
    """Read how large a gzipped layer gets from its last four bytes; None where they do not tell.

    They tell it modulo 4 GiB: of what it may be, the likeliest is taken. And they tell it of the last of several
    streams only: what is too small to be true is not believed.
    """
    if "gzip" not in layer.media_type or layer.size <= _TRAILER:
        return None
    try:
        with client.blob(reference, layer.digest, layer.size - _TRAILER) as blob:
            if not blob.partial:
                return None  # it takes no ranges, and is about to send everything
            raw = b"".join(blob)
    except RegistryError:
        return None
    return likeliest_size(int.from_bytes(raw, "little"), layer.size) if len(raw) == _TRAILER else None


def likeliest_size(rest: int, compressed: int) -> int | None:
    """Say which size has this rest modulo 4 GiB and is nearest to what such a layer becomes; None for none."""
    size = rest + max(0, round((compressed * GROWTH - rest) / _MODULUS)) * _MODULUS
    return size if size >= compressed * _SHRINKS else None
