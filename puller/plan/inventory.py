"""What an engine holds, looked into layer by layer: whether it is this very image, and what of others is there."""

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from puller.engine.interface import ImageStore
from puller.engine.model import EngineInfo, ImageContents, LocalImage, LocalImages
from puller.errors import RegistryError
from puller.image.manifest import ImageManifest
from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest
from puller.plan.layers import Stock, chain_ids
from puller.plan.policy import Step, decide
from puller.registry.client import RegistryClient
from puller.registry.manifests import parts_of
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy

_WIDTH = 4
"""Images that the engine is asked about at once."""


class EngineInventory:
    """An engine's images at one moment. What costs a question is asked when it is needed, and once."""

    def __init__(self, store: ImageStore, holdings: LocalImages | None = None, facts: EngineInfo | None = None) -> None:
        """Ask nothing yet, and never what is given; what is asked later may raise EngineError."""
        self._store = store
        self._looked_at: dict[str, ImageContents | None] = {}
        if holdings is not None:
            self.holdings = holdings
        if facts is not None:
            self.facts = facts

    @cached_property
    def holdings(self) -> LocalImages:
        """All images."""
        return self._store.holdings()

    @cached_property
    def facts(self) -> EngineInfo:
        """What kind of engine it is."""
        return self._store.facts()

    @cached_property
    def contents(self) -> dict[str, ImageContents]:
        """What each image is made of, by its ID."""
        identities = list(dict.fromkeys(image.identity for image in self.holdings.images))
        shares = [share for start in range(_WIDTH) if (share := identities[start::_WIDTH])]
        with ThreadPoolExecutor(_WIDTH, thread_name_prefix="inspect") as pool:
            answers = pool.map(self._store.contents, shares)
            found = {content.identity: content for answer in answers for content in answer}
        self._looked_at |= dict.fromkeys(identities) | found
        return found

    def held(self, reference: ImageReference) -> LocalImage | None:
        """Find what a reference stands for here: by its digest where it has one, else by its tag."""
        return self.holdings.pinned(reference) if reference.digest else self.holdings.tagged(reference)

    def has(self, request: PullRequest, said: ResolvedTag | None = None) -> bool:
        """Whether a pull would leave the image alone, its registry having said this of it."""
        return decide(Policy.NEWER, request, self.holdings, _Facts(self, said)).step is not Step.PULL

    def platforms_of(self, held: LocalImage) -> tuple[Platform | None, ...]:
        """For which platforms an image is here."""
        return held.platforms or (self._platform(held),)

    def platform(self, request: PullRequest) -> Platform | None:
        """For which platform a request is; None where even the engine does not tell."""
        return request.platform or self.facts.platform

    def stock(
        self,
        images: Iterable[tuple[PullRequest, ImageManifest]],
        client: RegistryClient,
        registries: Collection[str],
    ) -> Stock:
        """Say what is held of the images that shall be pulled.

        An engine does not tell by which digests it knows its layers: the manifests of the images that have them do.
        Only `registries` are asked for them; where one cannot be had, the layers are taken to be the same ones.
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
        """Look at one image, unless all have been looked at."""
        identity = held.identity
        if identity not in self._looked_at:
            self._looked_at[identity] = next(iter(self._store.contents((identity,))), None)
        content = self._looked_at[identity]
        return content.platform if content else None

    def _holders(self, diff_id: str | None) -> Iterator[LocalImage]:
        """Give the images that came from registries and have a layer."""
        for image in self.holdings.images:
            content = self.contents.get(image.identity)
            if diff_id and image.digests and content and diff_id in content.layers:
                yield image

    def _parts_of(self, held: LocalImage, client: RegistryClient, registries: Collection[str]) -> ImageManifest | None:
        """Fetch the manifest that a held image came with; None where that cannot be done."""
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
    """What a inventory and one answer of a registry tell; fulfils `policy.Facts`."""

    inventory: EngineInventory
    said: ResolvedTag | None

    def announced(self, _: ImageReference) -> ResolvedTag | None:
        return self.said

    def mirrored(self, _: ImageReference) -> bool:
        return False

    def is_image(self, *_: object) -> bool:
        return False

    def suits(self, held: LocalImage, request: PullRequest) -> bool:
        wanted = self.inventory.platform(request)
        return wanted is not None and wanted in self.inventory.platforms_of(held)
