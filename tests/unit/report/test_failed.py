"""The list of what is not there: read again, it asks for exactly that."""

import io

from hypothesis import given, strategies as st

from puller.errors import FailureClass, FailureKind
from puller.failure import Failure, failure
from puller.image.reference import ImageReference, Platform
from puller.imagelist import read
from puller.imagelist.requests import RequestedImages, request_images
from puller.model import PullOutcome, PullRequest, Status
from puller.report import failed_list as failed
from tests.lab.samples import DIGEST, outcome, report


def read_back(text: str) -> RequestedImages:
    """Read it as `puller pull -` does, its kind told from its content."""
    return request_images(read(["-"], stdin=io.BytesIO(text.encode())))


def ended(request: PullRequest, status: Status = Status.FAILED) -> PullOutcome:
    """End a request badly."""
    return PullOutcome.of(request, status, failure=failure(FailureKind.TIMEOUT, "FROM: - { # key: 0"))


def wish(*spellings: str, platform: str | None = None) -> PullRequest:
    """Ask for an image that lists spell in these ways."""
    return PullRequest(
        ImageReference.parse(spellings[0]), Platform.parse(platform) if platform else None, tuple(spellings)
    )


def test_it_is_the_same_requests_again() -> None:
    """Platform, tag, digest and every spelling are kept; what is there is not asked for; order is kept."""
    wishes = [
        wish("nginx:1.27", platform="linux/arm/v6"),
        wish(f"ghcr.io/acme/app:v1@{DIGEST}"),
        wish("redis", "docker.io/library/redis:latest"),
        wish("localhost:5000/x"),
    ]
    outcomes = [ended(each) for each in wishes[:3]] + [outcome("there"), ended(wishes[3], Status.CANCELLED)]
    again = read_back(failed.render(report(*outcomes)))
    assert again.requests == tuple(wishes)
    assert [each.requested for each in again.requests] == [each.requested for each in wishes]
    assert again.bad == ()


def test_it_says_why() -> None:
    """A person who opens it learns what failed and for which reason; images that failed alike share it."""
    bad = PullOutcome("a b", ("a b",), Status.FAILED, failure=failure(FailureKind.BAD_REFERENCE, "x.txt:3: no"))
    images = (outcome("nope", Status.FAILED), outcome("there"), outcome("gone", Status.FAILED), bad)
    assert failed.render(report(*images)) == (
        "# 1 of 4 images is present; the run of 2026-11-23T08:00:00Z\n"
        "\n"
        "# image or tag not found (not_found): manifest unknown\n"
        "nope\n"
        "gone\n"
        "\n"
        "# invalid image reference (bad_reference): x.txt:3: no\n"
        "# a b\n"
    )


def test_a_bad_line_that_reads_like_an_image_stays_a_comment() -> None:
    """A line is bad for its platform, too: the reference in it is not to be pulled for another one."""
    bad = PullOutcome("nginx", ("nginx",), Status.FAILED, failure=failure(FailureKind.BAD_REFERENCE, "c.yaml:3: no"))
    assert "\n# nginx\n" in failed.render(report(bad))


@given(words=st.text(), why=st.text())
def test_no_words_become_a_line(words: str, why: str) -> None:
    """A message with a line break asks for no image."""
    reason = Failure(FailureKind.UNCLASSIFIED, FailureClass.TRANSIENT, f"{why}\nevil", why)
    odd = PullOutcome(words, (f"{words}\nevil",), Status.FAILED, failure=reason)
    assert all(line.startswith("#") or not line for line in failed.render(report(odd)).splitlines())
