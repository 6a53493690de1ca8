"""The images and layers that an engine has, and which of the wanted ones are among them."""

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from puller.engine.disk import free_bytes
from puller.engine.interface import ImageStore
from puller.engine.model import EngineInfo, ImageContents, LocalImage, LocalImages
from puller.errors import RegistryError
from puller.image.manifest import ImageManifest
from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest
from puller.plan.layers import Stock, chain_ids
from puller.plan.model import Disk
from puller.plan.policy import Step, decide
from puller.registry.client import RegistryClient
from puller.registry.manifests import parts_of
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy

_WIDTH = 4
"""Concurrent requests about images to the engine."""


class EngineInventory:
    """An engine's images at one moment. Each request to the engine is made when its answer is needed, and once."""

    def __init__(self, store: ImageStore, holdings: LocalImages | None = None, facts: EngineInfo | None = None) -> None:
        """Make no request yet; later ones may raise EngineError. What is given here is not requested."""
        self._store = store
        self._looked_at: dict[str, ImageContents | None] = {}
        if holdings is not None:
            self.holdings = holdings
        if facts is not None:
            self.facts = facts

    @cached_property
    def holdings(self) -> LocalImages:
        return self._store.holdings()

    @cached_property
    def facts(self) -> EngineInfo:
        return self._store.facts()

    @cached_property
    def contents(self) -> dict[str, ImageContents]:
        """The layers of each image, by its ID."""
        identities = list(dict.fromkeys(image.identity for image in self.holdings.images))
        shares = [share for start in range(_WIDTH) if (share := identities[start::_WIDTH])]
        with ThreadPoolExecutor(_WIDTH, thread_name_prefix="inspect") as pool:
            answers = pool.map(self._store.contents, shares)
            found = {content.identity: content for answer in answers for content in answer}
        self._looked_at |= dict.fromkeys(identities) | found
        return found

    def held(self, reference: ImageReference) -> LocalImage | None:
        """Find the image of a reference, by its digest if it has one, otherwise by its tag."""
        return self.holdings.pinned(reference) if reference.digest else self.holdings.tagged(reference)

    def has(self, request: PullRequest, answer: ResolvedTag | None = None) -> bool:
        """Tell whether the image is up to date, given the registry's answer."""
        return decide(Policy.NEWER, request, self.holdings, _Facts(self, answer)).step is not Step.PULL

    def platforms_of(self, held: LocalImage) -> tuple[Platform | None, ...]:
        """Return the platforms of an image."""
        return held.platforms or (self._platform(held),)

    def platform(self, request: PullRequest) -> Platform | None:
        """Return the platform of a request; None if the engine does not report its own."""
        return request.platform or self.facts.platform

    def disk(self, needed: int) -> Disk:
        """Compare the bytes that a pull needs with the free space where the engine keeps its images."""
        free, note = free_bytes(self.facts)
        return Disk(needed, self.facts.data_root, free, note)

    def stock(
        self, images: Iterable[tuple[PullRequest, ImageManifest]], client: RegistryClient, registries: Collection[str]
    ) -> Stock:
        """Return which parts of the wanted images the engine has.

        An engine does not report the compressed digests of its layers; the manifests of its images have them. Only
        these `registries` are asked for such manifests; without a manifest, a layer with the same diff ID counts as
        present.
        """
        contents = self.contents if self.holdings.images else {}
        known: set[str] = set()
        asked: dict[str, ImageManifest | None] = {}
        for _, parts in images:
            for layer in parts.layers:
                for held in self._holders(layer.diff_id):
                    if layer.digest in known:
                        break
                    if held.identity not in asked:
                        asked[held.identity] = self._parts_of(held, client, registries)
                    made_of = asked[held.identity]
                    known.update([layer.digest] if made_of is None else (part.digest for part in made_of.layers))
        looked_at = [parts for parts in asked.values() if parts]
        return Stock(
            keeps_blobs=self.facts.keeps_platforms,
            configs=frozenset(
                (*(image.identity for image in self.holdings.images), *(parts.config.digest for parts in looked_at))
            ),
            documents=frozenset(
                (
                    *(name.partition("@")[2] for image in self.holdings.images for name in image.digests),
                    *(document.digest for parts in looked_at for document in parts.documents),
                )
            ),
            chains=frozenset(chain for content in contents.values() for chain in chain_ids(content.layers)),
            blobs=frozenset(known),
        )

    def _platform(self, held: LocalImage) -> Platform | None:
        """Return the platform of an image; asks the engine unless it is known."""
        identity = held.identity
        if identity not in self._looked_at:
            self._looked_at[identity] = next(iter(self._store.contents((identity,))), None)
        content = self._looked_at[identity]
        return content.platform if content else None

    def _holders(self, diff_id: str | None) -> Iterator[LocalImage]:
        """Yield the images that have this layer and came from a registry."""
        for image in self.holdings.images:
            content = self.contents.get(image.identity)
            if diff_id and image.digests and content and diff_id in content.layers:
                yield image

    def _parts_of(self, held: LocalImage, client: RegistryClient, registries: Collection[str]) -> ImageManifest | None:
        """Fetch the manifest of an image that the engine has; None if that fails."""
        platform = self._platform(held) or self.facts.platform
        for name in held.digests:
            reference = ImageReference.parse(name)
            if reference.registry not in registries or platform is None:
                continue
            try:
                return parts_of(client, reference, str(reference.digest), platform)
            except RegistryError:
                continue
        return None


@dataclass(frozen=True, slots=True)
class _Facts:
    """Implements `policy.Facts` by an inventory and the answer of one registry."""

    inventory: EngineInventory
    answer: ResolvedTag | None

    def announced(self, _: ImageReference) -> ResolvedTag | None:
        return self.answer

    def mirrored(self, _: ImageReference) -> bool:
        return False

    def is_image(self, *_: object) -> bool:
        return False

    def suits(self, held: LocalImage, request: PullRequest) -> bool:
        wanted = self.inventory.platform(request)
        return wanted is not None and wanted in self.inventory.platforms_of(held)
