"""What pulls will fetch and unpack, worked out from manifests and from what an engine holds. Pure.

Counted are the bodies that a registry sends: indexes, manifests, configs and layers, each one that the engine will
ask for, and no HTTP headers. The rules are what two kinds of engine were seen to do (`tests/engine/test_plan.py`):

- The graph-driver store finds a layer again by its chain (itself on exactly these layers), and only if it remembers
  the compressed digest from an earlier pull; from the first layer that is missing it fetches every one.
- The containerd store finds a layer by its chain, whatever it is compressed to; from the first that is missing it
  fetches every blob that it does not keep. Blobs are kept whole beside what is unpacked from them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from puller.image.manifest import Descriptor, ImageManifest

GROWTH = 2.5
"""Bytes that a compressed byte becomes, where nothing better is known; common images have 2 to 3."""
_AT_ONCE = 3
"""Images whose layers wait at once to be unpacked; both puller and engines do three things at a time."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What an engine holds, in the terms that decide what it fetches."""

    keeps_blobs: bool = False
    """Whether it is the containerd store."""
    configs: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()
    """Digests of manifests and indexes."""
    chains: frozenset[str] = frozenset()
    """Chain IDs of the layers."""
    blobs: frozenset[str] = frozenset()
    """Compressed digests of layers that were pulled, and with the containerd store are still there."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one image will cost, after all that comes before it in the list."""

    download: int
    """Bytes that the registry will send."""
    layers: int
    missing: int
    """How many of the layers will be fetched."""
    unpacked: int
    """Bytes that its new layers take when they are unpacked."""
    blobs: int
    """Bytes of the download that are layers."""
    alone: int = 0
    """Bytes on the graph store's disk at the fullest moment of this image by itself: a layer and its blob at once."""
    last: int = 0
    """Bytes of the blob that it unpacks last."""


class LayerAccount:
    """Adds image after image to what an engine holds, so that nothing is counted twice."""

    def __init__(self, stock: Stock) -> None:
        """Begin with what is held now."""
        self._keeps_blobs = stock.keeps_blobs
        self._configs, self._documents = set(stock.configs), set(stock.documents)
        self._chains, self._blobs = set(stock.chains), set(stock.blobs)

    def add(self, image: ImageManifest) -> Estimate:
        """Say what a pull of the image costs now, and take it as pulled."""
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
            alone=max((size + part.size for size, part in zip(grown, new, strict=True)), default=0),
            last=new[-1].size if new else 0,
        )

    def _missing(self, layers: Sequence[Descriptor]) -> Iterator[Descriptor]:
        """Give what will be fetched; a digest that an image has twice is fetched once."""
        seen: set[str] = set()
        found = True
        for layer, chain in zip(layers, chains(layers), strict=True):
            found = found and chain in self._chains and (self._keeps_blobs or layer.digest in self._blobs)
            if found or layer.digest in seen or (self._keeps_blobs and layer.digest in self._blobs):
                continue
            seen.add(layer.digest)
            yield layer

    def _unpack(self, layers: Sequence[Descriptor]) -> list[Descriptor]:
        new = []
        for layer, chain in zip(layers, chains(layers), strict=True):
            if chain not in self._chains:
                self._chains.add(chain)
                new.append(layer)
        return new


def chains(layers: Sequence[Descriptor]) -> Iterator[str]:
    """Give each layer's chain ID (OCI image spec "Layer ChainID"); of unknown diff IDs digests make a stand-in."""
    return chain_ids(layer.diff_id or f"?{layer.digest}" for layer in layers)


def chain_ids(diff_ids: Iterable[str]) -> Iterator[str]:
    """Give the chain ID of every layer of an image, base first."""
    chain = ""
    for diff_id in diff_ids:
        chain = f"sha256:{hashlib.sha256(f'{chain} {diff_id}'.encode()).hexdigest()}" if chain else diff_id
        yield chain


def new_layers(image: ImageManifest, stock: Stock) -> Iterator[Descriptor]:
    """Give the layers of an image that will be unpacked, as far as the stock tells."""
    if stock.keeps_blobs or image.config.digest not in stock.configs:
        pairs = zip(image.layers, chains(image.layers), strict=True)
        yield from (layer for layer, chain in pairs if chain not in stock.chains)


def unpacked_size(layer: Descriptor) -> int:
    """Say how large a layer gets: as known, as it is where it is not compressed, or `GROWTH` times its size."""
    if layer.unpacked is not None:
        return layer.unpacked
    return round(layer.size * GROWTH) if layer.compressed else layer.size


def room_needed(estimates: Sequence[Estimate], *, keeps_blobs: bool) -> int:
    """Say how much disk pulls may need at their fullest moment.

    The containerd store keeps what it fetched; the graph store has blobs only until they are unpacked, so the
    largest few images' at once.
    """
    unpacked = sum(estimate.unpacked for estimate in estimates)
    if keeps_blobs:
        return unpacked + sum(estimate.download for estimate in estimates)
    return unpacked + sum(sorted(estimate.blobs for estimate in estimates)[-_AT_ONCE:])


def room_needed_at_least(estimates: Sequence[Estimate], *, keeps_blobs: bool) -> int:
    """Say what pulls need however they come to lie in time: with less, one of them fails."""
    if keeps_blobs:
        return room_needed(estimates, keeps_blobs=True)
    # Of any images, one is unpacked last, and its last blob still lies there when all else of them is unpacked.
    largest = sorted(estimates, key=lambda estimate: estimate.last, reverse=True)
    together = accumulate(estimate.unpacked for estimate in largest)
    moments = (size + estimate.last for size, estimate in zip(together, largest, strict=True))
    return max((*moments, *(estimate.alone for estimate in estimates)), default=0)
