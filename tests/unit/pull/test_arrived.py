"""What is compared after a pull: whether the image is there, and for which platform; a pinned digest that is gone."""

import pytest

from puller.cancellation import Cancellation
from puller.engine.interface import NOTHING, InspectedImage
from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.errors import EngineError, ExitCode, FailureKind as Kind
from puller.failure import failure
from puller.image.reference import ImageReference, Platform
from puller.model import Status
from puller.registry.resolver import ResolvedTag, Resolver
from puller.settings import Policy, RetryPolicy, Settings
from tests.lab.fakes import FakeBackend, FakeStore, pull_all
from tests.lab.samples import DIGEST, request

QUICK = Settings(retry=RetryPolicy(1, 0.0, second_pass=False))
NOW = "sha256:" + "9" * 64
AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.mark.parametrize("platform", [None, "linux/arm64"])
@pytest.mark.parametrize(("has", "kind"), [(NOTHING, Kind.IMAGE_MISSING), (None, Kind.UNVERIFIED)])
def test_no_success_without_the_image(has: InspectedImage | None, kind: Kind, platform: str | None) -> None:
    """An engine that does not have the image, or does not say so, has not pulled it, whatever it reports."""

    class Liar(FakeBackend):
        def inspect(self, reference: ImageReference, *, cancel: Cancellation) -> InspectedImage | None:
            return has

    report = pull_all([request("a.io/x", platform)], Liar(), QUICK)
    (outcome,) = report.outcomes
    assert outcome.failure
    assert (outcome.failure.kind, len(outcome.attempts), report.exit_code) == (kind, 2, ExitCode.TRY_AGAIN)


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize(
    ("asked", "came", "kind", "warning"),
    [
        (None, AMD, None, ""),
        (None, Platform("linux", "386"), None, ""),
        (None, ARM, None, "the image is for linux/arm64, not for linux/amd64"),
        ("linux/arm64", ARM, None, ""),
        ("linux/arm64", AMD, Kind.NO_MATCHING_PLATFORM, ""),
        ("linux/amd64", Platform("linux", "386"), Kind.NO_MATCHING_PLATFORM, ""),
        ("linux/arm/v7", Platform("linux", "arm", "v6"), None, ""),
        ("linux/arm64", None, None, ""),
    ],
)
def test_the_platform_that_arrives_is_compared(
    asked: str | None, came: Platform | None, kind: Kind | None, warning: str, *, keeps: bool
) -> None:
    """Another than the one that was named is a failure, one that the engine cannot run a warning."""
    identity = "sha256:" + "1" * 64
    store = FakeStore(
        facts=EngineInfo(platform=AMD, keeps_platforms=keeps), platforms={identity: [came] if came else []}
    )
    backend = FakeBackend(has={"a.io/x": InspectedImage(identity, platform=came)}, store=store)
    (outcome,) = pull_all([request("a.io/x", asked)], backend, QUICK).outcomes
    assert (outcome.failure.kind if outcome.failure else None, outcome.warning) == (kind, warning)


def test_an_image_for_several_platforms_has_the_one_that_was_asked_for() -> None:
    """The engine describes the platform that it would run, unless it is asked for another one."""
    identity = "sha256:" + "1" * 64
    store = FakeStore(facts=EngineInfo(platform=AMD, keeps_platforms=True), platforms={identity: [AMD, ARM]})
    backend = FakeBackend(has={"a.io/x": InspectedImage(identity, platform=AMD)}, store=store)
    assert pull_all([request("a.io/x", "linux/arm64")], backend, QUICK).ok


def test_a_pinned_digest_that_is_gone_says_what_the_tag_is_now() -> None:
    """The tag's spelling is right; what helps is another digest."""

    class Now(Resolver):
        def resolve(self, reference: ImageReference) -> ResolvedTag | None:
            return ResolvedTag(NOW, single=True) if reference.canonical == "a.io/x:1" else None

    gone = EngineError("manifest unknown", status=404)
    texts = (f"a.io/x:1@{DIGEST}", f"a.io/x@{DIGEST}", f"a.io/x:1@{NOW}", "a.io/x:2")
    report = pull_all([*map(request, texts)], FakeBackend(otherwise=gone), QUICK, registries=Now())
    tagged, bare, same, tag = [each.failure.advice for each in report.outcomes if each.failure]
    assert f"the tag 1 is {NOW} now" in tagged
    assert "Pin the tag again" in tagged
    assert "no such digest" in bare
    assert same == tag == failure(Kind.NOT_FOUND, "").advice


@pytest.mark.parametrize("policy", [Policy.NEWER, Policy.ALWAYS])
@pytest.mark.parametrize(
    "message", ["dial tcp 10.0.0.1:443: connect: connection refused", "manifest unknown", "no space left on device"]
)
def test_a_failed_image_of_which_the_engine_has_an_earlier_one_is_kept(message: str, policy: Policy) -> None:
    """Whatever the cause and the policy, and if it was cancelled; the message is the engine's alone."""
    held = LocalImages([LocalImage("sha256:1", ("a.io/x:latest",), (f"a.io/x@{DIGEST}",))])
    backend = FakeBackend(otherwise=EngineError(message), store=FakeStore(held))
    settings = QUICK._replace(retry=RetryPolicy(0, 0.0), policy=policy, jobs=1)
    names = ("a.io/x", "a.io/y", f"a.io/x:latest@{NOW}", f"a.io/z@{DIGEST}", "a.io/x:latest")
    report = pull_all([*map(request, names)], backend, settings)
    assert [outcome.kept for outcome in report.outcomes] == [True, False, False, False, True]
    assert {outcome.failure.message for outcome in report.failed if outcome.failure} == {message}
    assert (report.outcomes[-1].status is Status.CANCELLED) == message.startswith("no space")
