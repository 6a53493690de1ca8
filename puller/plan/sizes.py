"""Reads the configs of images and the unpacked sizes of layers from registries."""

from puller.errors import FailureKind, RegistryError
from puller.image.manifest import Descriptor, ImageManifest
from puller.image.reference import ImageReference
from puller.plan.layers import GROWTH
from puller.registry.client import RegistryClient

_LARGEST_CONFIG = 4 << 20
_TRAILER = 4
"""Bytes at the end of gzip data that hold the unpacked size modulo 2^32 (RFC 1952)."""
_MODULUS = 1 << 32
_SHRINKS = 0.9
"""Least ratio of unpacked to compressed bytes; a smaller size is only that of the last of several gzip streams."""


def config_of(client: RegistryClient, reference: ImageReference, parts: ImageManifest) -> bytes:
    """Fetch an image's config and check its digest; raises RegistryError, also if it is too large."""
    raw = bytearray()
    with client.blob(reference, parts.config.digest) as blob:
        for chunk in blob:
            raw += chunk
            if len(raw) > _LARGEST_CONFIG:
                raise RegistryError(
                    f"{reference.registry}: the config of {reference} is too large",
                    kind=FailureKind.UNSUPPORTED_MANIFEST,
                )
    return bytes(raw)


def unpacked_size(client: RegistryClient, reference: ImageReference, layer: Descriptor) -> int | None:
    """Read a gzipped layer's unpacked size from its last four bytes; None if that fails.

    They hold the size modulo 4 GiB, so the likeliest of the possible sizes is returned. In a file of several gzip
    streams they hold the size of the last one, so a size that is too small is ignored.
    """
    if "gzip" not in layer.media_type or layer.size <= _TRAILER:
        return None
    try:
        with client.blob(reference, layer.digest, layer.size - _TRAILER) as blob:
            if not blob.partial:
                return None  # the registry ignores ranges, and would send the whole blob
            raw = b"".join(blob)
    except RegistryError:
        return None
    return likeliest_size(int.from_bytes(raw, "little"), layer.size) if len(raw) == _TRAILER else None


def likeliest_size(rest: int, compressed: int) -> int | None:
    """Return the size with this rest modulo 4 GiB that is nearest to `GROWTH` times `compressed`; None if too small."""
    size = rest + max(0, round((compressed * GROWTH - rest) / _MODULUS)) * _MODULUS
    return size if size >= compressed * _SHRINKS else None
