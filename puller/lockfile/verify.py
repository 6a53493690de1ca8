"""Comparison of a host's images with lists: digests, platforms and tags."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from puller.engine.interface import ImageStore
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.failure import Failure
from puller.image.platform import can_run, is_same
from puller.image.reference import Platform
from puller.model import PullRequest
from puller.text import clean

Ask = Callable[[Sequence[PullRequest], EngineInfo], Mapping[PullRequest, str | Failure]]
"""Resolves tags at their registries."""


class Fault(StrEnum):
    """What is wrong with an image on a host."""

    MISSING = "missing"
    OTHER_DIGEST = "other_digest"
    """The tag is on an image with another digest."""
    TAG_ELSEWHERE = "tag_elsewhere"
    """The engine has the digest, but the requested tag is not on that image."""
    OTHER_PLATFORM = "other_platform"
    UNKNOWN = "unknown"
    """The registry did not resolve the tag."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a host and the lists."""

    fault: Fault
    request: PullRequest
    wanted: str | None = None
    """The expected digest or platform."""
    found: str | None = None
    """The digest or platform on the host; None if there is none."""
    failure: Failure | None = None
    """Why the registry did not resolve the tag."""

    def __str__(self) -> str:
        """Return one line: `other digest: nginx:1.27: wanted sha256:…, found sha256:…`."""
        line = f"{self.fault.replace('_', ' ')}: {clean(str(self.request))}"
        if self.failure:
            return f"{line}: {self.failure.kind}: {self.failure.message}"
        if self.fault is Fault.MISSING:
            return line
        if self.fault is Fault.TAG_ELSEWHERE:
            return f"{line}: the tag is on {self.found or 'no image'}, wanted on {self.wanted}"
        return f"{line}: wanted {self.wanted}, found {self.found or 'none'}"


def verify(requests: Sequence[PullRequest], store: ImageStore, ask: Ask | None) -> tuple[Difference, ...]:
    """Compare an engine's images with requests; raises EngineError.

    `ask` resolves tags that no request pins; without it only their presence is checked.
    """
    facts, holdings = store.facts(), store.holdings()
    unpinned = [request for request in requests if not request.reference.digest and find(request, holdings)]
    current = ask(unpinned, facts) if ask and unpinned else {}
    images = dict.fromkeys(image.identity for request in requests if (image := find(request, holdings)))
    platforms = store.platforms(tuple(images)) if images else {}
    found = []
    for request in requests:
        for difference in differences(request, holdings, facts, platforms, current):
            if difference.fault is Fault.OTHER_PLATFORM and _has_platform(request, holdings, facts, store):
                continue
            found.append(difference)
    return tuple(found)


def find(request: PullRequest, holdings: LocalImages) -> LocalImage | None:
    """Find the image of a request by its digest, or else by its tag."""
    return holdings.pinned(request.reference) if request.reference.digest else holdings.tagged(request.reference)


def differences(
    request: PullRequest,
    holdings: LocalImages,
    facts: EngineInfo,
    platforms: Mapping[str, Platform],
    current: Mapping[PullRequest, str | Failure],
) -> Iterator[Difference]:
    """Yield the differences of one image.

    `platforms` are by image ID, `current` are the digests of tags; an image in neither of them is taken as right.
    """
    image = find(request, holdings)
    if image is None:
        yield _absent(request, holdings)
        return
    yield from _by_digest(request, image, holdings, current)
    platform, wanted = platforms.get(image.identity), request.platform or facts.platform
    if platform and wanted and not _fits(request, wanted, platform):
        yield Difference(Fault.OTHER_PLATFORM, request, str(wanted), str(platform))


def _absent(request: PullRequest, holdings: LocalImages) -> Difference:
    tagged = holdings.tagged(request.reference)
    if tagged is None:
        return Difference(Fault.MISSING, request, request.reference.digest)
    found = _joined(tagged.digests_in(request.reference.name))
    return Difference(Fault.OTHER_DIGEST, request, request.reference.digest, found)


def _by_digest(
    request: PullRequest, image: LocalImage, holdings: LocalImages, current: Mapping[PullRequest, str | Failure]
) -> Iterator[Difference]:
    reference = request.reference
    if reference.digest:
        tagged = holdings.tagged(reference)
        if reference.tag and tagged is not image:
            yield Difference(Fault.TAG_ELSEWHERE, request, image.identity, tagged.identity if tagged else None)
        return
    expected, local = current.get(request), image.digests_in(reference.name)
    if isinstance(expected, Failure):
        yield Difference(Fault.UNKNOWN, request, failure=expected)
    elif expected and expected not in local:
        yield Difference(Fault.OTHER_DIGEST, request, expected, _joined(local))


def _fits(request: PullRequest, wanted: Platform, found: Platform) -> bool:
    return is_same(wanted, found) if request.platform else can_run(wanted, found)


def _has_platform(request: PullRequest, holdings: LocalImages, facts: EngineInfo, store: ImageStore) -> bool:
    """Whether a multi-platform image includes the platform: an engine lists only one unless asked for another."""
    image, wanted = find(request, holdings), request.platform or facts.platform
    if not facts.keeps_platforms or image is None or wanted is None:
        return False
    named = store.platforms((image.identity,), wanted).get(image.identity)
    return named is not None and _fits(request, wanted, named)


def _joined(digests: Iterable[str]) -> str | None:
    return ", ".join(digests) or None
