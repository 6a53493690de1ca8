"""The bytes that pulls will fetch and unpack, calculated from manifests and from what an engine has. No I/O.

The count includes every index, manifest, config and layer that the engine will request, without HTTP headers. The
rules were found by experiments with both kinds of engine (`tests/engine/test_plan.py`):

- The graph-driver store reuses a layer if it has the chain ID, and knows the compressed digest from an earlier pull;
  it fetches the first missing layer and all above it.
- The containerd store reuses a layer if it has the chain ID, whatever the compressed digest; of the first missing layer
  and all above it, it fetches each blob that it does not have. It keeps blobs beside the unpacked layers.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence, Set as AbstractSet
from itertools import accumulate
from typing import NamedTuple

from puller.image.manifest import Descriptor, ImageManifest
from puller.image.reference import Platform

GROWTH = 2.5
"""Assumed ratio of unpacked to compressed bytes; common images have 2 to 3."""
_AT_ONCE = 3
"""Images that are unpacked at the same time; puller and engines both have three concurrent tasks by default."""


class Stock(NamedTuple):
    """The content of an engine that decides what it fetches."""

    keeps_blobs: bool = False  # whether it is the containerd store
    configs: AbstractSet[str] = frozenset()
    documents: AbstractSet[str] = frozenset()  # digests of manifests and indexes
    chains: AbstractSet[str] = frozenset()
    blobs: AbstractSet[str] = frozenset()  # digests of pulled layers, compressed; on the containerd store, of its blobs


class Estimate(NamedTuple):
    """The cost of one image, after those before it in the list were pulled."""

    download: int  # bytes that the registry will send
    layers: int
    missing: int  # how many of the layers will be fetched
    unpacked: int  # bytes of its new layers, unpacked
    blobs: int  # bytes of the download that are layers
    alone: int = 0  # peak bytes on the disk if a graph store pulls only this image: a layer and its blob exist at once
    last: int = 0  # bytes of the last blob to be unpacked
    platform: Platform | None = None  # the platform of the image, if its config was read


class LayerAccount:
    """Counts image after image against what an engine has, so that nothing is counted twice."""

    def __init__(self, stock: Stock) -> None:
        self._keeps_blobs = stock.keeps_blobs
        self._configs, self._documents = set(stock.configs), set(stock.documents)
        self._chains, self._blobs = set(stock.chains), set(stock.blobs)

    def add(self, image: ImageManifest) -> Estimate:
        """Return the cost of an image, and count it as pulled from now on."""
        manifest = image.documents[-1]
        whole = image.config.digest in self._configs or (self._keeps_blobs and manifest.digest in self._documents)
        documents = [part for part in image.documents if part.digest not in self._documents]
        fetched = list(self._missing(image.layers)) if not whole or self._keeps_blobs else []
        new = [] if whole and not self._keeps_blobs else self._unpack(image.layers)
        self._documents.update(part.digest for part in image.documents)
        self._configs.add(image.config.digest)
        self._blobs.update(part.digest for part in fetched)
        grown = list(accumulate(map(unpacked_size, new)))
        blobs = sum(part.size for part in fetched)
        return Estimate(
            download=sum(part.size for part in documents) + (0 if whole else image.config.size) + blobs,
            layers=len(image.layers),
            missing=len(fetched),
            unpacked=grown[-1] if grown else 0,
            blobs=blobs,
            platform=image.platform,
            alone=max((size + part.size for size, part in zip(grown, new, strict=True)), default=0),
            last=new[-1].size if new else 0,
        )

    def _missing(self, layers: Sequence[Descriptor]) -> Iterator[Descriptor]:
        """Yield the layers to fetch, each digest once."""
        seen: set[str] = set()
        found = True
        for layer, chain in with_chains(layers):
            found = found and chain in self._chains and (self._keeps_blobs or layer.digest in self._blobs)
            if found or layer.digest in seen or (self._keeps_blobs and layer.digest in self._blobs):
                continue
            seen.add(layer.digest)
            yield layer

    def _unpack(self, layers: Sequence[Descriptor]) -> list[Descriptor]:
        new = []
        for layer, chain in with_chains(layers):
            if chain not in self._chains:
                self._chains.add(chain)
                new.append(layer)
        return new


def with_chains(layers: Sequence[Descriptor]) -> Iterator[tuple[Descriptor, str]]:
    """Yield each layer with its chain ID (OCI image spec "Layer ChainID"); a digest replaces an unknown diff ID."""
    return zip(layers, chain_ids(layer.diff_id or f"?{layer.digest}" for layer in layers), strict=True)


def chain_ids(diff_ids: Iterable[str]) -> Iterator[str]:
    """Yield the chain ID of every layer of an image, base first."""
    chain = ""
    for diff_id in diff_ids:
        chain = f"sha256:{hashlib.sha256(f'{chain} {diff_id}'.encode()).hexdigest()}" if chain else diff_id
        yield chain


def new_layers(image: ImageManifest, stock: Stock) -> list[Descriptor]:
    """Return the layers of an image that the engine will unpack."""
    if image.config.digest in stock.configs and not stock.keeps_blobs:
        return []
    return [layer for layer, chain in with_chains(image.layers) if chain not in stock.chains]


def unpacked_size(layer: Descriptor) -> int:
    """Return a layer's unpacked bytes, estimated by `GROWTH` if a compressed layer's are unknown."""
    if layer.unpacked is not None:
        return layer.unpacked
    return round(layer.size * GROWTH) if layer.compressed else layer.size


def disk_needed(estimates: Sequence[Estimate], *, keeps_blobs: bool) -> int:
    """Return the peak number of bytes that pulls may need on the disk.

    The containerd store keeps all blobs; the graph store only until they are unpacked, so at most those of the
    largest images that are unpacked at the same time.
    """
    unpacked = sum(estimate.unpacked for estimate in estimates)
    if keeps_blobs:
        return unpacked + sum(estimate.download for estimate in estimates)
    return unpacked + sum(sorted(estimate.blobs for estimate in estimates)[-_AT_ONCE:])


def disk_needed_at_least(estimates: Sequence[Estimate], *, keeps_blobs: bool) -> int:
    """Return the bytes that pulls need in whatever order they run: with less, one of them fails."""
    if keeps_blobs:
        return disk_needed(estimates, keeps_blobs=True)
    # When the last layer of the last image is unpacked, its blob and all other unpacked layers are on the disk.
    largest = sorted(estimates, key=lambda estimate: estimate.last, reverse=True)
    together = accumulate(estimate.unpacked for estimate in largest)
    moments = (size + estimate.last for size, estimate in zip(together, largest, strict=True))
    return max((*moments, *(estimate.alone for estimate in estimates)), default=0)
