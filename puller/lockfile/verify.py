"""Comparison of a host's images with lists: digests, platforms and tags."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from puller.engine.interface import ImageStore
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.failure import Failure
from puller.image.reference import Platform
from puller.lockfile.lockfile import Difference, Kind
from puller.model import PullRequest
from puller.plan.inventory import other_platform

Ask = Callable[[Sequence[PullRequest], EngineInfo], Mapping[PullRequest, str | Failure]]
"""Resolves tags at their registries."""


def verify(requests: Sequence[PullRequest], store: ImageStore, ask: Ask | None) -> tuple[Difference, ...]:
    """Compare an engine's images with requests; raises EngineError.

    `ask` resolves tags that no request pins; without it only their presence is checked.
    """
    facts, holdings = store.facts(), store.holdings()
    images = [(request, holdings.find(request.reference)) for request in requests]
    unpinned = [request for request, image in images if image and not request.reference.digest]
    current = ask(unpinned, facts) if ask and unpinned else {}
    identities = tuple(dict.fromkeys(image.identity for _, image in images if image))
    platforms = store.platforms(identities) if identities else {}
    differences: list[Difference] = []
    for request, image in images:
        if image is None:
            differences.append(_absent(request, holdings))
        else:
            differences += _by_digest(request, image, holdings, current.get(request))
            differences += _by_platform(request, image, platforms.get(image.identity), store)
    return tuple(differences)


def _absent(request: PullRequest, holdings: LocalImages) -> Difference:
    reference = request.reference
    tagged = holdings.tagged(reference)
    if tagged is None:
        return Difference(Kind.MISSING, request, reference.digest)
    return Difference(Kind.OTHER_DIGEST, request, reference.digest, _joined(tagged.digests_in(reference.name)))


def _by_digest(
    request: PullRequest, image: LocalImage, holdings: LocalImages, current: str | Failure | None
) -> Iterator[Difference]:
    """Compare the digest with that of the tag in the registry, if known; a pinned digest only with its tag."""
    reference, local = request.reference, image.digests_in(request.reference.name)
    tagged = holdings.tagged(reference)
    if reference.digest:
        if reference.tag and tagged is not image:
            yield Difference(Kind.TAG_ELSEWHERE, request, image.identity, tagged.identity if tagged else None)
    elif isinstance(current, Failure):
        yield Difference(Kind.UNKNOWN, request, failure=current)
    elif current and current not in local:
        yield Difference(Kind.OTHER_DIGEST, request, current, _joined(local))


def _by_platform(
    request: PullRequest, image: LocalImage, platform: Platform | None, store: ImageStore
) -> Iterator[Difference]:
    """Compare the platform with the requested one, or else with the engine's; an unknown one is taken as right."""
    if other := other_platform(request, image.identity, platform, store):
        yield Difference(Kind.OTHER_PLATFORM, request, str(request.platform or store.facts().platform), str(other))


def _joined(digests: Iterable[str]) -> str | None:
    return ", ".join(digests) or None
