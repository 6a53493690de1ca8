"""Whether a host has exactly what lists say: the digests, the platforms, and the tags where they belong."""

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
"""Asks the registries for digests."""


class Fault(StrEnum):
    """What is wrong with one image of a host."""

    MISSING = "missing"
    OTHER_DIGEST = "other_digest"
    """The tag is there, and stands for something else."""
    TAG_ELSEWHERE = "tag_elsewhere"
    """The image is there by its digest, and the tag beside the digest is not on it."""
    OTHER_PLATFORM = "other_platform"
    UNKNOWN = "unknown"
    """The registry does not say what the tag stands for."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the lists say."""

    fault: Fault
    request: PullRequest
    wanted: str | None = None
    """A digest, or a platform."""
    found: str | None = None
    """What is there instead; None where that is nothing."""
    failure: Failure | None = None
    """Why nobody knows what is wanted."""

    def __str__(self) -> str:
        """Say it in one line: `other digest: nginx:1.27: wanted sha256:…, found sha256:…`."""
        line = f"{self.fault.replace('_', ' ')}: {clean(str(self.request))}"
        if self.failure:
            return f"{line}: {self.failure.kind}: {self.failure.message}"
        if self.fault is Fault.MISSING:
            return line
        if self.fault is Fault.TAG_ELSEWHERE:
            return f"{line}: the tag is on {self.found or 'no image'}, wanted on {self.wanted}"
        return f"{line}: wanted {self.wanted}, found {self.found or 'none'}"


def verify(requests: Sequence[PullRequest], store: ImageStore, ask: "Ask | None") -> tuple[Difference, ...]:
    """Compare what an engine holds with what is wanted; raises EngineError when it does not tell.

    `ask` gives the digests of tags that nothing pins; without it only their presence counts.
    """
    facts, holdings = store.facts(), store.holdings()
    unpinned = [request for request in requests if not request.reference.digest and find(request, holdings)]
    current = ask(unpinned, facts) if ask and unpinned else {}
    images = dict.fromkeys(image.identity for request in requests if (image := find(request, holdings)))
    platforms = store.platforms(tuple(images)) if images else {}
    found = []
    for request in requests:
        for difference in differences(request, holdings, facts, platforms, current):
            if difference.fault is Fault.OTHER_PLATFORM and _holds_too(request, holdings, facts, store):
                continue
            found.append(difference)
    return tuple(found)


def find(request: PullRequest, holdings: LocalImages) -> LocalImage | None:
    """Find the image that a request means: by its digest where it has one, else by its tag."""
    return holdings.pinned(request.reference) if request.reference.digest else holdings.tagged(request.reference)


def differences(
    request: PullRequest,
    holdings: LocalImages,
    facts: EngineInfo,
    platforms: Mapping[str, Platform],
    current: Mapping[PullRequest, str | Failure],
) -> Iterator[Difference]:
    """Yield what is wrong with one image.

    `platforms` is by the image's ID, `current` what tags stand for; what neither of them knows is taken as right.
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
    found = _listed(tagged.digests_in(request.reference.name))
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
    wanted, here = current.get(request), image.digests_in(reference.name)
    if isinstance(wanted, Failure):
        yield Difference(Fault.UNKNOWN, request, failure=wanted)
    elif wanted and wanted not in here:
        yield Difference(Fault.OTHER_DIGEST, request, wanted, _listed(here))


def _fits(request: PullRequest, wanted: Platform, found: Platform) -> bool:
    return is_same(wanted, found) if request.platform else can_run(wanted, found)


def _holds_too(request: PullRequest, holdings: LocalImages, facts: EngineInfo, store: ImageStore) -> bool:
    """Look again where one image may hold several platforms: the engine tells of one, unless it is asked by name."""
    image, wanted = find(request, holdings), request.platform or facts.platform
    if not facts.keeps_platforms or image is None or wanted is None:
        return False
    named = store.platforms((image.identity,), wanted).get(image.identity)
    return named is not None and _fits(request, wanted, named)


def _listed(digests: Iterable[str]) -> str | None:
    return ", ".join(digests) or None
