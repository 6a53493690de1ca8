"""A host compared with a list: every difference, and none that is not there."""

from collections.abc import Mapping, Sequence

import pytest

from puller.engine.model import EngineInfo, LocalImage, LocalImages
from puller.errors import FailureKind
from puller.failure import Failure, failure
from puller.image.reference import ImageReference, Platform
from puller.lockfile.lockfile import Kind
from puller.lockfile.verify import verify
from puller.model import PullRequest
from tests.lab.fakes import FakeStore

A, B = ("sha256:" + letter * 64 for letter in "ab")
NAME = "docker.io/library/nginx"
AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")
HERE = LocalImage("sha256:1", (f"{NAME}:1",), (f"{NAME}@{A}",))
OTHER = LocalImage("sha256:2", (f"{NAME}:2",), (f"{NAME}@{B}",))
NONE = "found none: it was loaded or built, not pulled"
LOCAL = LocalImage("sha256:3", (f"{NAME}:local",))


def store(
    *images: LocalImage, platforms: Mapping[str, Sequence[Platform]] | None = None, keeps: bool = False
) -> FakeStore:
    """Make an engine for amd64 that holds these images, for its own platform unless told otherwise."""
    held = {image.identity: (AMD,) for image in images}
    return FakeStore(
        LocalImages(images), EngineInfo(platform=AMD, keeps_platforms=keeps), {**held, **(platforms or {})}
    )


def request(text: str, platform: Platform | None = None) -> PullRequest:
    """Make a request."""
    return PullRequest(ImageReference.parse(text), platform)


def says(text: str, *images: LocalImage, now: str | Failure | None = None) -> list[str]:
    """Verify one reference; `now` is what the registry says of it."""
    ask = (lambda requests, _facts: dict.fromkeys(requests, now)) if now else None
    return [*map(str, verify([request(text)], store(*images), ask))]


@pytest.mark.parametrize(
    ("text", "images", "lines"),
    [
        (f"nginx:1@{A}", [HERE, OTHER], []),
        (f"nginx@{A}", [HERE], []),
        ("nginx:1", [HERE], []),
        ("nginx:1", [OTHER], ["missing: nginx:1"]),
        (f"nginx@{A}", [OTHER], [f"missing: nginx@{A}"]),
        (f"nginx:1@{B}", [HERE], [f"other digest: nginx:1: wanted {B}, found {A}"]),
        (f"nginx:local@{B}", [LOCAL], [f"other digest: nginx:local: wanted {B}, {NONE}"]),
        (
            f"nginx:1@{B}",
            [HERE, OTHER],
            ["tag elsewhere: nginx:1: the tag is on sha256:1, wanted on sha256:2"],
        ),
        (f"nginx:3@{B}", [OTHER], ["tag elsewhere: nginx:3: the tag is on no image, wanted on sha256:2"]),
        (f"example.org/nginx:1@{A}", [HERE], [f"missing: example.org/nginx:1@{A}"]),
    ],
)
def test_without_a_registry(text: str, images: list[LocalImage], lines: list[str]) -> None:
    """Digests and tags of the engine against those of the list; of an unpinned tag only its presence."""
    assert says(text, *images) == lines


def test_an_unpinned_tag_is_compared_with_the_registry() -> None:
    """And a registry that does not answer is a difference of its own, with its reason."""
    assert says("nginx:1", HERE, now=A) == []
    assert says("nginx:1", HERE, now=B) == [f"other digest: nginx:1: wanted {B}, found {A}"]
    assert says("nginx:local", LOCAL, now=B) == [f"other digest: nginx:local: wanted {B}, {NONE}"]
    down = failure(FailureKind.CONNECTION_REFUSED, "h: Connection refused")
    assert says("nginx:1", HERE, now=down) == [
        "unknown: nginx:1: connection refused (connection_refused): h: Connection refused"
    ]


def test_nobody_is_asked_about_a_lock_or_about_what_is_missing() -> None:
    """A lock needs no network, and what is not here needs no digest."""

    def never(requests: Sequence[PullRequest], _facts: EngineInfo) -> Mapping[PullRequest, str | Failure]:
        raise AssertionError(requests)

    found = verify([request(f"nginx:1@{A}"), request("redis"), request(f"nginx@{B}")], store(HERE), never)
    assert [difference.kind for difference in found] == [Kind.MISSING, Kind.MISSING]


def test_the_platform_must_be_right() -> None:
    """The engine's own where none is asked for; the asked one where it is."""
    holding = store(HERE, platforms={HERE.identity: (ARM,)})
    (found,) = verify([request("nginx:1")], holding, None)
    assert str(found) == "other platform: nginx:1: wanted linux/amd64, found linux/arm64"
    assert verify([request("nginx:1", ARM)], holding, None) == ()
    (found,) = verify([request("nginx:1", AMD)], holding, None)
    assert str(found) == "other platform: nginx:1 (linux/amd64): wanted linux/amd64, found linux/arm64"
    assert [asked for _, asked in holding.inspected] == [None] * 3


def test_an_image_of_several_platforms_is_asked_again_by_name() -> None:
    """Only where the store can hold several, and only for what seems wrong."""
    both = store(HERE, platforms={HERE.identity: (AMD, ARM)}, keeps=True)
    assert verify([request("nginx:1"), request("nginx:1", ARM)], both, None) == ()
    assert both.inspected == [(("sha256:1",), None), (("sha256:1",), ARM)]
    s390x = Platform("linux", "s390x")
    (found,) = verify([request("nginx:1", s390x)], both, None)
    assert (found.kind, found.found) == (Kind.OTHER_PLATFORM, "linux/amd64")


def test_what_an_engine_does_not_say_is_not_held_against_it() -> None:
    """Neither its own platform nor an image's."""
    assert verify([request("nginx:1", ARM)], store(HERE, platforms={HERE.identity: ()}), None) == ()
    holding = FakeStore(LocalImages([HERE]), EngineInfo(), {HERE.identity: (ARM,)})
    assert verify([request("nginx:1")], holding, None) == ()


def test_one_image_may_be_wrong_twice() -> None:
    """One line for each difference, in the order of the list, and one question for all images."""
    holding = store(HERE, OTHER, platforms={OTHER.identity: (ARM,)})
    found = verify([request(f"nginx:1@{B}"), request("nginx:1"), request("x")], holding, None)
    assert [difference.kind for difference in found] == [Kind.TAG_ELSEWHERE, Kind.OTHER_PLATFORM, Kind.MISSING]
    assert (holding.questions, len(holding.inspected)) == (1, 1)


def test_the_same_digest_under_two_names() -> None:
    """Both are there, as one image."""
    held = LocalImage("sha256:1", (f"{NAME}:1", "example.org/n:1"), (f"{NAME}@{A}", f"example.org/n@{A}"))
    assert verify([request(f"nginx:1@{A}"), request(f"example.org/n:1@{A}")], store(held), None) == ()
