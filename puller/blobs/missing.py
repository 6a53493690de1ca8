"""What the images of a run consist of, and which of their blobs the engine lacks, asked ahead of the pulls."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import ParamSpec, TypeVar

from puller.errors import EngineError, RegistryError
from puller.image.manifest import Descriptor, ImageManifest, Manifest, descriptor_of, read_image
from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest
from puller.plan.inventory import EngineInventory
from puller.plan.layers import chain_ids, chains
from puller.plan.sizes import config_of
from puller.registry.batch import RegistryQuestions
from puller.registry.client import RegistryClient
from puller.registry.manifests import manifests_of
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy

P = ParamSpec("P")
T = TypeVar("T")

_WIDTH = 4
"""Images that one registry is asked about at once."""
_RATE_LIMIT = 10.0
"""Seconds of a rate limit for which a question waits; after that the engine pulls the image by itself."""


@dataclass(frozen=True, slots=True)
class ImageBlobs:
    """One image as its registry has it."""

    documents: tuple[Manifest, ...]
    """An index where there is one, and the image's manifest."""
    parts: ImageManifest
    lacking: tuple[Descriptor, ...]
    """The blobs that the engine will ask for, config first, as far as can be told."""

    @property
    def digest(self) -> str:
        """What the reference stands for."""
        return self.documents[0].digest


class MissingBlobs:
    """Looks images up, from several threads; where that fails, the image is pulled without prefetching."""

    def __init__(
        self, client: RegistryClient, inventory: EngineInventory | None, policy: Policy = Policy.ALWAYS
    ) -> None:
        """Without an engine's inventory every blob is lacking."""
        self._client = client.with_patience(rate_limit=_RATE_LIMIT)
        self._inventory = inventory
        self._policy = policy
        self._questions = RegistryQuestions(_WIDTH)

    def soon(self, registry: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function when it is its turn at a registry."""
        return self._questions.submit(registry, function, *args, **kwargs)

    def close(self) -> None:
        """Look nothing more up."""
        self._questions.close()
        self._client.close()

    def entry(self, request: PullRequest, platform: Platform) -> ImageBlobs | None:
        """Look an image up; None is what the engine has already, or whose registry does not answer.

        Raises RegistryError for what a registry does not tell, EngineError.
        """
        reference = request.reference
        if self._client.record(reference.registry).lost or self._is_there(request):
            return None
        documents = manifests_of(self._client, reference, reference.digest or reference.tag or "", platform)
        parts = read_image(map(descriptor_of, documents[:-1]), documents[-1])
        return ImageBlobs(documents, parts, tuple(self._lacking(reference, parts)))

    def _is_there(self, request: PullRequest) -> bool:
        """Whether the engine has it, so that the check before the pull will leave it alone."""
        if self._inventory is None or self._policy is Policy.ALWAYS or self._inventory.held(request.reference) is None:
            return False
        if self._policy is Policy.MISSING:
            return True
        if request.reference.digest:
            return self._inventory.has(request)
        said = self._client.head(request.reference)
        return self._inventory.has(request, ResolvedTag(said.digest, single=said.single))

    def _lacking(self, reference: ImageReference, parts: ImageManifest) -> Iterator[Descriptor]:
        """Give the config, and the layers from the first on that the engine does not have on the same ones."""
        if self._held:
            with suppress(RegistryError):  # then every layer is taken to be lacking
                parts = parts.with_config(config_of(self._client, reference, parts))
        yield parts.config
        seen, found = set[str](), True
        for layer, chain in zip(parts.layers, chains(parts.layers), strict=True):
            found = found and chain in self._held
            if not found and layer.digest not in seen:
                seen.add(layer.digest)
                yield layer

    @cached_property
    def _held(self) -> frozenset[str]:
        """The chains of layers that the engine has."""
        try:
            if self._inventory is None or not self._inventory.holdings.images:
                return frozenset()
            return frozenset(chain for each in self._inventory.contents.values() for chain in chain_ids(each.layers))
        except EngineError:
            return frozenset()
