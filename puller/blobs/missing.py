"""The blobs of images that the engine lacks, looked up before the pulls."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, partial
from typing import NamedTuple

from puller.engine.model import ImageContents
from puller.errors import EngineError, RegistryError
from puller.image.manifest import (
    SINGLE_TYPES,
    Descriptor,
    ImageManifest,
    Manifest,
    attestations_in,
    descriptor_of,
    descriptors_in,
    read_image,
)
from puller.image.oci_layout import cosign_tags
from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import Stock, chain_ids, new_layers
from puller.registry.batch import ask_all
from puller.registry.client import RegistryClient
from puller.registry.manifests import config_of, manifests_of
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy

_MOST_EXTRAS = 64
"""Attestations and signatures of one manifest."""
_RATE_LIMIT = 10.0
"""Longest rate limit to wait for, in seconds; with a longer one the engine pulls the image by itself."""


class ImageBlobs(NamedTuple):
    """The manifests and blobs of one image."""

    documents: tuple[Manifest, ...]
    """The index or indexes, if any, and the image's manifest."""
    parts: ImageManifest
    missing: tuple[Descriptor, ...]
    """The blobs that the engine will probably request, config first."""
    extras: tuple[Manifest, ...] = ()
    """Attestations and signatures that refer to the image."""
    tags: Mapping[str, str] = {}
    """The tags of the extras that have one (cosign's), by digest."""

    @property
    def digest(self) -> str:
        """The digest of the reference."""
        return self.documents[0].digest


class QuotaError(RegistryError):
    """A registry would count the look-up as a pull."""


class MissingBlobs:
    """Looks up images; thread-safe."""

    def __init__(
        self,
        client: RegistryClient,
        inventory: EngineInventory | None,
        policy: Policy = Policy.ALWAYS,
        *,
        extras: bool = False,
        spare_quota: bool = False,
    ) -> None:
        """Without an engine's inventory every blob is missing. With `extras` images come with what refers to them.

        With `spare_quota` images of registries that count requests for manifests are not looked up.
        """
        self._extras = extras
        self._spare_quota = spare_quota
        self._asked: set[str] = set()
        """Registries that have been asked whether they count."""
        self._client = client.with_limits(rate_limit=_RATE_LIMIT)
        self._inventory = inventory
        self._policy = policy

    def close(self) -> None:
        self._client.close()

    def look_up(self, request: PullRequest, platform: Platform) -> ImageBlobs | None:
        """Look up an image; None if the engine already has it, or if its registry did not answer before.

        Raises RegistryError and EngineError.
        """
        reference = request.reference
        if self._client.record(reference.registry).unreachable or self._is_present(request):
            return None
        if self._spare_quota and self._has_quota(reference):
            raise QuotaError("it counts requests for their manifests as pulls; --prefetch=always makes them")
        documents = manifests_of(self._client, reference, reference.digest or reference.tag or "", platform)
        parts = read_image(map(descriptor_of, documents[:-1]), documents[-1])
        entry = ImageBlobs(documents, parts, tuple(self._missing(reference, parts)))
        return self._with_extras(reference, entry) if self._extras else entry

    def _has_quota(self, reference: ImageReference) -> bool:
        """Tell whether a registry counts requests for manifests; asked with a HEAD request, which does not count."""
        record = self._client.record(reference.registry)
        if record.quota is None and reference.registry not in self._asked:
            with suppress(RegistryError):
                self._client.head(reference)
                self._asked.add(reference.registry)
        return record.quota is not None

    def _with_extras(self, reference: ImageReference, entry: ImageBlobs) -> ImageBlobs:
        """Add the attestations in the index, what the registry lists as referring to the image, and cosign's tags."""
        found: dict[str, Manifest] = {}
        tags: dict[str, str] = {}
        for document in entry.documents:
            listed = (*attestations_in(document, entry.documents[-1].digest), *self._referrers(reference, document))
            with suppress(RegistryError):
                for each in listed[:_MOST_EXTRAS]:
                    found[each.digest] = self._client.manifest(reference, each.digest)
        names = [(reference.registry, tag) for document in entry.documents for tag in cosign_tags(document.digest)]
        for (_, tag), answer in zip(names, ask_all(names, partial(self._client.manifest, reference)), strict=True):
            if isinstance(answer, Manifest) and answer not in entry.documents:  # some servers answer for any tag
                found[answer.digest], tags[answer.digest] = answer, tag
        blobs = [blob for each in found.values() if each.media_type in SINGLE_TYPES for blob in descriptors_in(each)]
        missing = {blob.digest: blob for blob in (*entry.missing, *blobs[::-1])}
        return entry._replace(missing=tuple(missing.values()), extras=tuple(found.values()), tags=tags)

    def _referrers(self, reference: ImageReference, document: Manifest) -> tuple[Descriptor, ...]:
        """List what refers to a manifest (OCI distribution spec "Listing Referrers", and its tag schema)."""
        with suppress(RegistryError):
            return descriptors_in(self._client.referrers(reference, document.digest))
        with suppress(RegistryError):
            return descriptors_in(self._client.manifest(reference, document.digest.replace(":", "-")))
        return ()

    def _is_present(self, request: PullRequest) -> bool:
        """Whether the engine has the image, so that it will not be pulled."""
        if (
            self._inventory is None
            or self._policy is Policy.ALWAYS
            or self._inventory.holdings.find(request.reference) is None
        ):
            return False
        if self._policy is Policy.MISSING or request.if_missing:
            return True
        if request.reference.digest:
            return self._inventory.has(request)
        described = self._client.head(request.reference)
        return self._inventory.has(request, ResolvedTag(described.digest, single=described.single))

    def _missing(self, reference: ImageReference, parts: ImageManifest) -> Iterator[Descriptor]:
        """Yield the config, and the layers from the first one that the engine does not have in the same chain."""
        if self._stock.chains:
            with suppress(RegistryError):  # then every layer counts as missing
                parts = parts.with_config(config_of(self._client, reference, parts))
        yield parts.config
        yield from dict.fromkeys(new_layers(parts, self._stock))

    @cached_property
    def _stock(self) -> Stock:
        """What the engine has, as far as it is known without asking a registry."""
        contents: Iterable[ImageContents] = ()
        with suppress(EngineError):
            if self._inventory and self._inventory.holdings.images:
                contents = self._inventory.contents.values()
        return Stock(keeps_blobs=True, chains=frozenset(chain for each in contents for chain in chain_ids(each.layers)))
