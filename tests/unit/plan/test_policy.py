"""What each policy makes of each situation; the table in the docs is made from the same function."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from puller.engine.model import LocalImage, LocalImages
from puller.image.reference import ImageReference
from puller.model import PullRequest, Status
from puller.plan.policy import FAIL, PULL, Decision, Step, decide
from puller.registry.resolver import ResolvedTag
from puller.settings import Policy
from scripts.docs.policies import CASES, PAGE, Case, page
from tests.lab.samples import DIGEST, request

OTHER = "sha256:" + "b" * 64
NAME = "docker.io/library/nginx"
KEPT = Decision(Step.KEEP, Status.UP_TO_DATE, DIGEST)


@dataclass
class Known:
    """Facts that were told beforehand, and a record of the dear ones that were asked for."""

    holdings: LocalImages
    says: ResolvedTag | None = None
    suitable: bool = True
    asked: list[str] = field(default_factory=list)
    at_mirror: str | None = None
    """The ID of the image that a mirror has for every digest."""

    def resolve(self, reference: ImageReference) -> ResolvedTag | None:
        """Say what was told."""
        self.asked.append("registry")
        return self.says

    def mirrored(self, reference: ImageReference) -> bool:
        """Have one where something is known of what it has."""
        return self.at_mirror is not None

    def is_image(self, held: LocalImage, request: PullRequest, digest: str) -> bool:
        """Compare with what the mirror has."""
        self.asked.append("mirror")
        return self.at_mirror == held.identity

    def suits(self, held: LocalImage, request: PullRequest) -> bool:
        """Say what was told."""
        self.asked.append("platform")
        return self.suitable


def holding(*digests: str, tags: tuple[str, ...] = (f"{NAME}:1.27",), identity: str = "sha256:1") -> LocalImage:
    """Hold one image."""
    return LocalImage(identity, tags, tuple(f"{NAME}@{digest}" for digest in digests))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_decisions_are_those_of_the_page(case: Case) -> None:
    """Every policy in every situation of the published table."""
    for policy in Policy:
        assert case.play(policy)[0] == case.expected[policy], policy


def test_the_page_is_made_from_the_decisions() -> None:
    """Who changes a policy makes the page anew: `python -m scripts.docs.policies > docs/policies.md`."""
    assert (Path(__file__).parents[3] / PAGE).read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("platform", [None, "linux/arm64"])
def test_a_platform_is_looked_at_when_it_can_matter(platform: str | None, *, single: bool) -> None:
    """An index holds several; one image is for one, which is known to be right unless another was asked for."""
    facts = Known(LocalImages([holding(DIGEST)]), ResolvedTag(DIGEST, single))
    assert decide(Policy.NEWER, request("nginx:1.27", platform), facts.holdings, facts) == KEPT
    looked = platform is not None or not single
    assert facts.asked == ["registry", *(["platform"] if looked else [])]
    facts.suitable = False
    assert decide(Policy.NEWER, request("nginx:1.27", platform), facts.holdings, facts) == (PULL if looked else KEPT)


def test_nobody_asks_the_registry_of_what_must_be_pulled_anyway() -> None:
    """No tag, or an image that was built here and never pulled."""
    for held in (holding(DIGEST, tags=()), holding()):
        facts = Known(LocalImages([held]), ResolvedTag(DIGEST, single=True))
        assert decide(Policy.NEWER, request(), facts.holdings, facts) == PULL
        assert facts.asked == []


@pytest.mark.parametrize(
    ("policy", "text", "held", "says", "suitable", "words"),
    [
        (Policy.NEWER, "nginx:1.27", holding(tags=()), DIGEST, True, "not present: pulled"),
        (Policy.NEWER, "nginx:1.27", holding(), DIGEST, True, "the engine's image has no digest of this repository"),
        (Policy.NEWER, "nginx:1.27", holding(OTHER), None, True, "the registry says no digest"),
        (Policy.NEWER, "nginx:1.27", holding(OTHER), DIGEST, True, f"the registry has {DIGEST}, the engine {OTHER}"),
        (Policy.NEWER, "nginx:1.27", holding(DIGEST), DIGEST, False, "the engine the same, for another platform"),
        (Policy.NEWER, "nginx:1.27", holding(DIGEST), DIGEST, True, "the engine has the registry's digest"),
        (Policy.NEWER, f"nginx@{DIGEST}", holding(), None, True, "the engine has no such digest"),
        (Policy.NEWER, f"nginx@{DIGEST}", holding(DIGEST), None, True, "the engine has this digest"),
        (Policy.MISSING, "nginx:1.27", holding(), None, True, "the engine has it"),
        (Policy.MISSING, "nginx:1.28", holding(), None, True, "the engine does not have it"),
    ],
)
def test_verbose_can_tell_why_an_image_is_pulled_or_not(
    policy: Policy, text: str, held: LocalImage, says: str | None, words: str, caplog: pytest.LogCaptureFixture,
    *, suitable: bool,
) -> None:  # fmt: skip
    """Each decision has its reason in the log of the package, beside the image."""
    caplog.set_level("INFO", "puller")
    facts = Known(LocalImages([held]), ResolvedTag(says, single=False) if says else None, suitable)
    decide(policy, request(text), facts.holdings, facts)
    (line,) = caplog.messages
    assert line.startswith(f"{text}: ")
    assert line.endswith(words)


def test_what_came_from_a_mirror_is_known_by_its_id() -> None:
    """A graph-driver store has no digest for it: the mirror tells which image the digest means."""
    tagged = holding()
    facts = Known(
        LocalImages([tagged]), ResolvedTag(DIGEST, single=True, mirror="mirror.test"), at_mirror=tagged.identity
    )
    assert decide(Policy.NEWER, request(), facts.holdings, facts) == Decision(
        Step.KEEP, Status.UP_TO_DATE, DIGEST, "mirror.test"
    )
    facts.at_mirror = "sha256:2"
    assert decide(Policy.NEWER, request(), facts.holdings, facts) == PULL


def test_one_of_several_digests_is_enough() -> None:
    """An index that was made anew over the same image leaves the engine with both of its digests."""
    facts = Known(LocalImages([holding(OTHER, DIGEST)]), ResolvedTag(DIGEST, single=True))
    assert decide(Policy.NEWER, request(), facts.holdings, facts) == KEPT
    assert decide(Policy.MISSING, request(), facts.holdings, facts) == Decision(Step.KEEP, Status.PRESENT, None)


@pytest.mark.parametrize("policy", [Policy.NEWER, Policy.MISSING, Policy.NEVER])
def test_a_tag_beside_a_digest_must_stand_for_it(policy: Policy) -> None:
    """It is set where it is absent or elsewhere; the policy never changes nothing and says so."""
    elsewhere = LocalImages([holding(DIGEST, tags=()), holding(OTHER, identity="sha256:2")])
    absent = LocalImages([holding(DIGEST, tags=())])
    status = Status.UP_TO_DATE if policy is Policy.NEWER else Status.PRESENT
    for holdings in (elsewhere, absent):
        decision = decide(policy, request(f"nginx:1.27@{DIGEST}"), holdings, Known(holdings))
        assert decision == (FAIL if policy is Policy.NEVER else Decision(Step.SET_TAG, status, DIGEST))
    for text in (f"nginx:1.27@{DIGEST}", f"nginx@{DIGEST}"):
        facts = Known(LocalImages([holding(DIGEST)]))
        assert decide(policy, request(text), facts.holdings, facts) == Decision(Step.KEEP, status, DIGEST)
        assert "registry" not in facts.asked


def test_a_list_may_want_an_image_only_if_it_is_missing() -> None:
    """Compose's `pull_policy: missing` stands above the default policy, and asks no registry; others stand above it."""
    wanted = request()._replace(if_missing=True)
    for held, always in ((holding(DIGEST), PULL), (holding(), PULL)):
        facts = Known(LocalImages([held]), ResolvedTag("sha256:" + "9" * 64, single=True))
        assert decide(Policy.NEWER, wanted, facts.holdings, facts).status is Status.PRESENT
        assert decide(Policy.ALWAYS, wanted, facts.holdings, facts) == always
        assert "registry" not in facts.asked
    assert decide(Policy.NEWER, wanted, LocalImages([]), facts) == PULL
    assert decide(Policy.NEVER, wanted, LocalImages([]), facts) == FAIL
