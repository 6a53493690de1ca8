"""When an image is pulled: what each policy makes of what the engine holds and what the registry says.

`docs/policies.md` has the same as a table.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from puller.engine.model import LocalImage
from puller.image.reference import ImageReference
from puller.model import PullRequest, Status
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy


class Step(Enum):
    """What is to be done for an image."""

    PULL = auto()
    KEEP = auto()
    """Nothing: it is there."""
    NAME = auto()
    """The image is there, and its tag is to be set."""
    MISS = auto()
    """Nothing, although it is not there."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, and how the image has ended when that is done; a pull ends as it ends."""

    step: Step
    status: Status | None = None
    digest: str | None = None
    mirror: str | None = None
    """The mirror whose word alone this rests on."""


PULL, MISS = Decision(Step.PULL), Decision(Step.MISS)


class Facts(Protocol):
    """What a decision may want to know, asked for only when it does: some of it costs a request."""

    def tagged(self, reference: ImageReference) -> LocalImage | None:
        """Find what the engine has under the tag."""

    def pinned(self, reference: ImageReference) -> LocalImage | None:
        """Find what the engine has under the digest."""

    def announced(self, reference: ImageReference) -> ResolvedTag | None:
        """Ask the registry what the reference stands for; None where it does not tell."""

    def mirrored(self, reference: ImageReference) -> bool:
        """Whether it may have come from a mirror, by which the engine does not learn its digest."""

    def is_image(self, held: LocalImage, request: PullRequest, digest: str) -> bool:
        """Whether what is held is the image of a digest that the engine does not know; False where nobody can tell."""

    def suits(self, held: LocalImage, request: PullRequest) -> bool:
        """Whether what is held is for the platform that is wanted; False, too, where that cannot be told."""


def decide(policy: Policy, request: PullRequest, facts: Facts) -> Decision:
    """Decide for one image."""
    if policy is Policy.ALWAYS:
        return PULL
    if policy is Policy.NEWER:
        return _newest_pinned(request, facts) if request.reference.digest else _newest(request, facts)
    return _there(request, facts, PULL if policy is Policy.MISSING else MISS)


def _newest(request: PullRequest, facts: Facts) -> Decision:
    reference = request.reference
    held = facts.tagged(reference)
    digests = held.digests_in(reference.name) if held else ()
    if held is None or not (digests or facts.mirrored(reference)):
        return PULL
    said = facts.announced(reference)
    if said is None:
        return PULL
    if not (said.digest in digests if digests else facts.is_image(held, request, said.digest)):
        return PULL
    if (said.single and not request.platform) or facts.suits(held, request):
        return Decision(Step.KEEP, Status.UP_TO_DATE, said.digest, said.mirror)
    return PULL


def _newest_pinned(request: PullRequest, facts: Facts) -> Decision:
    """Ask no registry: a digest never stands for anything else. It may be that of an index, so the platform counts."""
    held = facts.pinned(request.reference)
    if held is None or not facts.suits(held, request):
        return PULL
    return _named(held, request, facts, Status.UP_TO_DATE)


def _there(request: PullRequest, facts: Facts, otherwise: Decision) -> Decision:
    """Look only whether the engine has the name; the platform counts when one was asked for, as in `docker run`."""
    reference = request.reference
    held = facts.pinned(reference) if reference.digest else facts.tagged(reference)
    if held is None or (request.platform and not facts.suits(held, request)):
        return otherwise
    decision = _named(held, request, facts, Status.PRESENT)
    return MISS if otherwise is MISS and decision.step is Step.NAME else decision


def _named(held: LocalImage, request: PullRequest, facts: Facts, status: Status) -> Decision:
    """Keep what is there, and see to it that the tag beside a digest stands for it."""
    reference = request.reference
    if not reference.digest:
        digests = held.digests_in(reference.name)
        return Decision(Step.KEEP, status, digests[0] if len(digests) == 1 else None)
    tagged = facts.tagged(reference) if reference.tag else held
    named = tagged is not None and tagged.identity == held.identity
    return Decision(Step.KEEP if named else Step.NAME, status, reference.digest)
