"""The images and layers that an engine has, and which of the wanted ones are among them."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property

from puller.engine.disk import free_bytes
from puller.engine.interface import ImageStore
from puller.engine.model import EngineInfo, ImageContents, LocalImage, LocalImages
from puller.errors import RegistryError
from puller.image.manifest import ImageManifest
from puller.image.platform import fits
from puller.image.reference import ImageReference, Platform
from puller.model import PullRequest
from puller.plan.layers import Stock, chain_ids
from puller.plan.model import Disk
from puller.plan.policy import Facts, Step, decide
from puller.registry.client import RegistryClient
from puller.registry.manifests import parts_of
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy
from puller.system.threads import Threads

_WIDTH = 4  # concurrent requests about images to the engine


class EngineInventory:
    """An engine's images at one moment. Each request to the engine is made when its answer is needed, and once."""

    def __init__(self, store: ImageStore, holdings: Callable[[], LocalImages] | None = None) -> None:
        """Make no request yet; later ones may raise EngineError. `holdings` replaces the request for the images."""
        self._store = store
        self._holdings = holdings or store.holdings
        self._looked_at: dict[str, ImageContents | None] = {}

    @cached_property
    def holdings(self) -> LocalImages:
        return self._holdings()

    @property
    def facts(self) -> EngineInfo:
        return self._store.facts()

    @cached_property
    def contents(self) -> dict[str, ImageContents]:
        """The layers of each image, by its ID."""
        identities = list(dict.fromkeys(image.identity for image in self.holdings.images))
        shares = [share for start in range(_WIDTH) if (share := identities[start::_WIDTH])]
        threads = Threads("inspect", _WIDTH, _WIDTH)
        answers = [threads.submit("", self._store.contents, share) for share in shares]
        found = {content.identity: content for answer in answers for content in answer.result()}
        self._looked_at |= dict.fromkeys(identities) | found
        return found

    def has(self, request: PullRequest, answer: ResolvedTag | None = None) -> bool:
        """Tell whether the image is up to date, given the registry's answer."""
        return decide(Policy.NEWER, request, self.holdings, _Facts(self, answer)).step is not Step.PULL

    def platform(self, request: PullRequest) -> Platform | None:
        """Return the platform of a request; None if the engine does not report its own."""
        return request.platform or self.facts.platform

    def disk(self, needed: int) -> Disk:
        """Compare the bytes that a pull needs with the free space where the engine keeps its images."""
        return Disk(needed, self.facts.data_root, *self._free)

    @cached_property
    def _free(self) -> tuple[int | None, str]:
        return free_bytes(self.facts)

    def stock(self, wanted: Iterable[ImageManifest], client: RegistryClient, registries: Collection[str]) -> Stock:
        """Return which parts of the wanted images the engine has.

        An engine does not report the compressed digests of its layers; the manifests of its images have them. Only
        these `registries` are asked for such manifests; without a manifest, a layer with the same diff ID counts as
        present.
        """
        known: set[str] = set()
        asked: dict[str, ImageManifest | None] = {}
        for layer in (layer for parts in wanted for layer in parts.layers):
            for image in self._holders(layer.diff_id):
                if layer.digest in known:
                    break
                if image.identity not in asked:
                    asked[image.identity] = self._parts_of(image, client, registries)
                made_of = asked[image.identity]
                known.update([layer.digest] if made_of is None else (part.digest for part in made_of.layers))
        images, manifests = self.holdings.images, [parts for parts in asked.values() if parts]
        configs = {image.identity for image in images} | {parts.config.digest for parts in manifests}
        documents = {name.partition("@")[2] for image in images for name in image.digests}
        documents |= {document.digest for parts in manifests for document in parts.documents}
        chains = {chain for content in self.contents.values() for chain in chain_ids(content.layers)}
        return Stock(self.facts.keeps_platforms, configs, documents, chains, known)

    def platform_of(self, image: LocalImage) -> Platform | None:
        """Return the platform of an image; asks the engine unless it is known."""
        identity = image.identity
        if identity not in self._looked_at:
            self._looked_at[identity] = next(iter(self._store.contents((identity,))), None)
        content = self._looked_at[identity]
        return content.platform if content else None

    def keeps(self, image: LocalImage, platform: Platform) -> bool:
        """Tell whether the engine has this platform of an image; of several it reports one unless asked for another."""
        if image.platforms or self.platform_of(image) == platform or not self.facts.keeps_platforms:
            return platform in (image.platforms or (self.platform_of(image),))
        return self._store.platforms((image.identity,), platform).get(image.identity) == platform

    def _holders(self, diff_id: str | None) -> Iterator[LocalImage]:
        """Yield the images that have this layer and came from a registry."""
        for image in self.holdings.images:
            content = self.contents.get(image.identity)
            if diff_id and image.digests and content and diff_id in content.layers:
                yield image

    def _parts_of(self, image: LocalImage, client: RegistryClient, registries: Collection[str]) -> ImageManifest | None:
        """Fetch the manifest of an image that the engine has; None if that fails."""
        platform = self.platform_of(image) or self.facts.platform
        for name in image.digests:
            reference = ImageReference.parse(name)
            if reference.registry not in registries or platform is None:
                continue
            try:
                return parts_of(client, reference, str(reference.digest), platform)
            except RegistryError:
                continue
        return None


class _Facts(Facts):
    """The facts for a decision, from an inventory and the answer of one registry; mirrors do not matter."""

    def __init__(self, inventory: EngineInventory, answer: ResolvedTag | None) -> None:
        self._inventory = inventory
        self._answer = answer

    def resolve(self, _: ImageReference) -> ResolvedTag | None:
        return self._answer

    def suits(self, image: LocalImage, request: PullRequest) -> bool:
        wanted = self._inventory.platform(request)
        return wanted is not None and self._inventory.keeps(image, wanted)


def other_platform(
    request: PullRequest, identity: str, platform: Platform | None, store: ImageStore
) -> Platform | None:
    """Return the platform of an engine's image if it does not fit the request; None also if the engine does not tell.

    `identity` is the image's ID, `platform` what the engine reports for it.
    """
    facts, asked = store.facts(), request.platform
    if platform is None or fits(platform, asked, facts.platform):
        return None
    wanted = asked or facts.platform
    if facts.keeps_platforms:  # of an image for several platforms, an engine reports one unless asked for another
        named = store.platforms((identity,), wanted).get(identity)
        image = store.holdings().of(identity)
        there = (*([named] if named else ()), *(image.platforms if image else ()))
        if any(fits(each, asked, facts.platform) for each in there):
            return None
    return platform
