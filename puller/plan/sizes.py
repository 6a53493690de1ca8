"""Reads from registries what images consist of: manifests, configs and the unpacked sizes of layers."""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TypeVar

from puller.errors import FailureKind, RegistryError
from puller.image.manifest import Descriptor, ImageManifest
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import GROWTH, Estimate, LayerAccount, new_layers
from puller.registry.batch import ask_all
from puller.registry.client import RegistryClient
from puller.registry.manifests import config_of, parts_of

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")
_TRAILER = 4  # bytes at the end of gzip data that hold the unpacked size modulo 2^32 (RFC 1952)
_MODULUS = 1 << 32
_SHRINKS = 0.9
"""Least ratio of unpacked to compressed bytes; a smaller size is only that of the last of several gzip streams."""


def manifests_of(
    wanted: Sequence[tuple[PullRequest, str]], inventory: EngineInventory, client: RegistryClient
) -> list[ImageManifest | RegistryError]:
    """Fetch the manifests with these names (digests or tags), each once; the result has an error for each failure."""

    def fetch(request: PullRequest, name: str) -> ImageManifest:
        platform = inventory.platform(request)
        if platform is None:
            raise RegistryError("the engine does not report its platform", kind=FailureKind.DAEMON_BAD_RESPONSE)
        return parts_of(client, request.reference, name, platform)

    keys = [(name if ":" in name else (each.reference.name, name), inventory.platform(each)) for each, name in wanted]
    found = _ask_once([(key, each, name) for key, (each, name) in zip(keys, wanted, strict=True)], fetch)
    return [found[key] for key in keys]


def estimates_of(
    images: Sequence[tuple[PullRequest, ImageManifest]],
    inventory: EngineInventory,
    client: RegistryClient,
    registries: Collection[str],
) -> list[Estimate]:
    """Return what each image costs if they are pulled in this order; see `EngineInventory.stock` for `registries`."""
    known = [(parts.config.digest, each, parts) for each, parts in images]
    configs = _ask_once(known, lambda request, parts: config_of(client, request.reference, parts))
    described = [
        (each, parts.with_config(raw) if isinstance(raw := configs[key], bytes) else parts)
        for key, each, parts in known
    ]
    stock = inventory.stock([parts for _, parts in described], client, registries)
    new = [(layer.digest, each, layer) for each, parts in described for layer in new_layers(parts, stock)]
    answers = _ask_once(new, partial(_unpacked_size, client))
    sizes = {digest: size for digest, size in answers.items() if isinstance(size, int)}
    account, estimates = LayerAccount(stock), []
    for _, parts in described:
        layers = tuple([layer._replace(unpacked=sizes.get(layer.digest)) for layer in parts.layers])
        estimates.append(account.add(parts._replace(layers=layers)))
    return estimates


def _ask_once(
    items: Iterable[tuple[K, PullRequest, T]], ask: Callable[[PullRequest, T], R]
) -> dict[K, R | RegistryError]:
    """Ask the registry of the request about the first item of each key, and return the answers by key."""
    firsts: dict[K, tuple[PullRequest, T]] = {}
    for key, request, item in items:
        firsts.setdefault(key, (request, item))
    answers = ask_all([(first[0].reference.registry, first) for first in firsts.values()], lambda first: ask(*first))
    return dict(zip(firsts, answers, strict=True))


def _unpacked_size(client: RegistryClient, request: PullRequest, layer: Descriptor) -> int | None:
    """Read a gzipped layer's unpacked size from its last four bytes; None if that fails.

    They hold the size modulo 4 GiB, so the likeliest of the possible sizes is returned. In a file of several gzip
    streams they hold the size of the last one, so a size that is too small is ignored.
    """
    if "gzip" not in layer.media_type or layer.size <= _TRAILER:
        return None
    with client.blob(request.reference, layer.digest, layer.size - _TRAILER) as blob:
        if not blob.partial:
            return None  # the registry ignores ranges, and would send the whole blob
        raw = b"".join(blob)
    return likeliest_size(int.from_bytes(raw, "little"), layer.size) if len(raw) == _TRAILER else None


def likeliest_size(rest: int, compressed: int) -> int | None:
    """Return the size with this rest modulo 4 GiB that is nearest to `GROWTH` times `compressed`; None if too small."""
    size = rest + max(0, round((compressed * GROWTH - rest) / _MODULUS)) * _MODULUS
    return size if size >= compressed * _SHRINKS else None
