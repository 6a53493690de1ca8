"""Decides whether an image is pulled, from the policy, the engine's images and the registry's answer.

`docs/policies.md` has all cases in a table.
"""

import logging
from enum import Enum, auto
from typing import NamedTuple, Protocol

from puller.engine.model import LocalImage, LocalImages
from puller.image.reference import ImageReference
from puller.model import PullRequest, Status
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy

_log = logging.getLogger(__name__)


class Step(Enum):
    """What to do for an image."""

    PULL = auto()
    KEEP = auto()  # nothing: the image is present
    SET_TAG = auto()  # only set the tag: the image is present by digest
    FAIL = auto()  # nothing: the image is missing, and the policy does not allow a pull


class Decision(NamedTuple):
    """What to do, and the image's status afterwards; a pull determines the status itself."""

    step: Step
    status: Status | None = None
    digest: str | None = None
    mirror: str | None = None  # the mirror that gave the digest, if the registry itself did not confirm it


PULL, FAIL = Decision(Step.PULL), Decision(Step.FAIL)


class Facts(Protocol):
    """What a decision may depend on beside the engine's images; called only if needed: some methods send a request."""

    def resolve(self, reference: ImageReference, /) -> ResolvedTag | None:
        """Return what the registry has under the tag; None if it does not answer."""

    def mirrored(self, _reference: ImageReference, /) -> bool:
        """Tell whether the registry has mirrors; the engine does not know the digest of an image from a mirror."""
        return False

    def is_image(self, _image: LocalImage, _request: PullRequest, _digest: str, /) -> bool:
        """Tell whether the engine's image has this digest, although the engine does not know it; False if unknown."""
        return False

    def suits(self, image: LocalImage, request: PullRequest, /) -> bool:
        """Tell whether the engine's image has the requested platform; False if unknown."""


def decide(policy: Policy, request: PullRequest, images: LocalImages, facts: Facts) -> Decision:
    """Decide for one image; `images` is what the engine has."""
    if policy is Policy.ALWAYS:
        return PULL
    if policy is Policy.NEWER and request.if_missing:
        policy = Policy.MISSING
    if policy is Policy.NEWER:
        return _newer_digest(request, images, facts) if request.reference.digest else _newer_tag(request, images, facts)
    return _present(request, images, facts, PULL if policy is Policy.MISSING else FAIL)


def _newer_tag(request: PullRequest, images: LocalImages, facts: Facts) -> Decision:
    reference = request.reference
    image = images.tagged(reference)
    digests = image.digests_in(reference.name) if image else ()
    known = digests or (image and facts.mirrored(reference))
    answer = facts.resolve(reference) if known else None
    if image is None or answer is None:
        why = "the registry says no digest" if known else "the engine's image has no digest of this repository"
        _log.info("%s: %s", request, why if image else "not present: pulled")
        return PULL
    is_current = answer.digest in digests if digests else facts.is_image(image, request, answer.digest)
    if is_current and ((answer.single and not request.platform) or facts.suits(image, request)):
        _log.info("%s: the engine has the registry's digest", request)
        return Decision(Step.KEEP, Status.UP_TO_DATE, answer.digest, answer.mirror)
    other = "the same, for another platform" if is_current else ", ".join(digests) or "an image without a digest"
    _log.info("%s: the registry has %s, the engine %s", request, answer.digest, other)
    return PULL


def _newer_digest(request: PullRequest, images: LocalImages, facts: Facts) -> Decision:
    """Decide without the registry: the content of a digest never changes. An index has several platforms, though."""
    image = images.pinned(request.reference)
    if image is None or not facts.suits(image, request):
        _log.info("%s: the engine %s", request, "has it for another platform" if image else "has no such digest")
        return PULL
    _log.info("%s: the engine has this digest", request)
    return _keep(image, request, images, Status.UP_TO_DATE)


def _present(request: PullRequest, images: LocalImages, facts: Facts, otherwise: Decision) -> Decision:
    """Decide by the name alone; the platform counts only if one was requested, as in `docker run`."""
    reference = request.reference
    image = images.find(reference)
    if image is None or (request.platform and not facts.suits(image, request)):
        _log.info("%s: the engine does not have it%s", request, " for this platform" if image else "")
        return otherwise
    _log.info("%s: the engine has it", request)
    decision = _keep(image, request, images, Status.PRESENT)
    return FAIL if otherwise is FAIL and decision.step is Step.SET_TAG else decision


def _keep(image: LocalImage, request: PullRequest, images: LocalImages, status: Status) -> Decision:
    """Keep the engine's image, and set the tag of a reference with tag and digest if it is on another image."""
    reference = request.reference
    if not reference.digest:
        digests = image.digests_in(reference.name)
        return Decision(Step.KEEP, status, digests[0] if len(digests) == 1 else None)
    tagged = images.tagged(reference) if reference.tag else image
    is_tagged = tagged is not None and tagged.identity == image.identity
    return Decision(Step.KEEP if is_tagged else Step.SET_TAG, status, reference.digest)
