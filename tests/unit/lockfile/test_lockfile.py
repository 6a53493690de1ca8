"""Locks: what is kept, what is asked for, what is different."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from puller.errors import FailureKind, ListError
from puller.failure import Failure, failure
from puller.image.reference import ImageReference
from puller.imagelist import Entry, read
from puller.imagelist.requests import request_images
from puller.lockfile.lockfile import compared, lines, origin, pins, render, renewed, unpinned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from puller.model import PullRequest

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
GONE = failure(FailureKind.NOT_FOUND, "h: status 404")


def requests(*texts: str) -> tuple[PullRequest, ...]:
    """Read a list."""
    return request_images(read(["-"], stdin=io.BytesIO("\n".join(texts).encode()))).requests


def locked(*texts: str) -> dict[PullRequest, str]:
    """Read a lock."""
    return {wish: digest for wish, digest in pins(requests(*texts)).items() if digest}


class Now:
    """A registry that answers by what was typed, and remembers the questions."""

    def __init__(self, **tags: str | Failure) -> None:
        self.tags = tags
        self.asked: list[str] = []

    def __call__(self, asked: Iterable[PullRequest]) -> dict[PullRequest, str | Failure]:
        """Answer."""
        answers = {request: self.tags[request.reference.text] for request in asked}
        self.asked += map(str, answers)
        return answers


def test_a_new_lock_asks_for_every_tag_and_no_digest() -> None:
    """What the list pins itself is taken as it is, with and without a tag."""
    now = Now(b=B, a=A)
    digests, failures = renewed(pins(requests("b", "a", f"c:1@{C}", f"d@{C}")), {}, now)
    assert (now.asked, failures) == (["b", "a"], {})
    assert lines(digests) == (
        f"docker.io/library/a:latest@{A}",
        f"docker.io/library/b:latest@{B}",
        f"docker.io/library/c:1@{C}",
        f"docker.io/library/d@{C}",
    )


def test_what_is_locked_keeps_its_digest() -> None:
    """New tags are resolved, and what nobody wants any more goes."""
    lock = locked(f"docker.io/library/a:latest@{A}", f"old@{A}", f"old:1@{A}")
    now = Now(b=B)
    digests, _ = renewed(pins(requests("a", "b")), lock, now)
    assert now.asked == ["b"]
    assert lines(digests) == (f"docker.io/library/a:latest@{A}", f"docker.io/library/b:latest@{B}")


def test_an_upgrade_asks_again_for_what_it_names() -> None:
    """All of it, or some of it; what the list pins is the list's business."""
    lock, wanted = locked(f"a:latest@{A}", f"b:latest@{A}", f"c:1@{A}"), pins(requests("a", "b", f"c:1@{C}"))
    now = Now(a=C, b=B)
    digests, _ = renewed(wanted, lock, now, {unpinned(request) for request in requests("b")})
    assert (now.asked, list(digests.values())) == (["b"], [A, B, C])
    digests, _ = renewed(wanted, lock, now, set(wanted))
    assert (now.asked[1:], list(digests.values())) == (["a", "b"], [C, B, C])


def test_failures_are_told_beside_what_was_resolved() -> None:
    """An upgrade that fails is a failure, too: the old digest is not passed off as the new one."""
    wanted = pins(requests("a", "b"))
    digests, failures = renewed(wanted, locked(f"b:latest@{B}"), Now(a=A, b=GONE), set(wanted))
    assert {str(wish): digest for wish, digest in digests.items()} == {"a": A}
    assert {str(wish): why for wish, why in failures.items()} == {"b": GONE}


def test_a_platform_is_a_wish_of_its_own() -> None:
    """The same tag for two platforms is two lines, in a stable order, each with the digest of the index."""
    wanted = pins(requests("--platform=linux/arm64 a", "a", "--platform=linux/amd64 a"))
    digests, _ = renewed(wanted, {}, Now(a=A))
    assert lines(digests) == (
        f"--platform=linux/amd64 docker.io/library/a:latest@{A}",
        f"--platform=linux/arm64 docker.io/library/a:latest@{A}",
        f"docker.io/library/a:latest@{A}",
    )


def test_a_pin_speaks_for_the_bare_tag_beside_it() -> None:
    """In whatever order they stand; two pins for one tag cannot both have it."""
    for texts in (("a:1", f"a:1@{A}"), (f"docker.io/a:1@{A}", "a:1")):
        assert list(pins(requests(*texts)).values()) == [A]
    with pytest.raises(ListError, match=f"a:1 is pinned twice, to {A} and to {B}"):
        pins(requests(f"a:1@{A}", f"a:1@{B}"))
    assert len(pins(requests(f"a@{A}", f"a@{B}", f"--platform=linux/arm64 a:1@{A}", f"a:1@{B}"))) == 4


def test_a_lock_is_a_list_that_means_itself() -> None:
    """Header and all; each line without its option is a reference."""
    digests, _ = renewed(pins(requests("h:5000/x/y:1", "--platform=linux/arm/v7 a", f"d@{C}")), {}, _always_b)
    moment = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
    command = "puller lock images.txt 'ev\nil' -o images.lock"
    text = render(digests, origin(["images.txt", "ev\nil", "https://u:hunter2@h/x"], command), moment, "1.2.3")
    header = [line for line in text.splitlines() if line.startswith("#")]
    assert "1.2.3" in header[0]
    assert "2026-11-23T08:00:00Z" in header[0]
    assert header[1] == "# from images.txt, ev il, https://h/x"
    assert header[3] == "# puller lock images.txt 'ev il' -o images.lock"
    assert len(text.splitlines()) == len(header) + 3
    assert locked(*text.splitlines()) == digests
    for line in text.splitlines()[len(header) :]:
        assert ImageReference.parse(line.split()[-1]).digest
    assert all(isinstance(item, Entry) for item in read(["-"], stdin=io.BytesIO(text.encode())))


def _always_b(asked: Iterable[PullRequest]) -> dict[PullRequest, str | Failure]:
    return dict.fromkeys(asked, B)


def test_differences_name_what_moved_and_what_the_lists_say() -> None:
    """One line for each; what the lists pin is compared with the lists, and not with the registry."""
    wanted = pins(requests("same", "moved", "new", f"pinned:1@{B}", f"right:1@{A}", "gone", f"bare@{A}"))
    lock = locked(
        f"docker.io/library/same:latest@{A}", f"moved:latest@{A}", f"pinned:1@{A}", f"right:1@{A}",
        f"gone:latest@{A}", f"docker.io/library/old:1@{A}", f"bare@{A}", f"other@{C}",
    )  # fmt: skip
    now = Now(same=A, moved=B, gone=GONE)
    assert [*map(str, compared(wanted, lock, now))] == [
        f"moved: moved {A} → {B}",
        "missing: new",
        f"repinned: pinned:1 {A} → {B}",
        "unknown: gone: image or tag not found (not_found): h: status 404",
        "extra: docker.io/library/old:1",
        f"extra: other@{C}",
    ]
    assert now.asked == ["same", "moved", "gone"]


def test_no_difference_is_none() -> None:
    """The usual case."""
    assert compared(pins(requests("a")), locked(f"docker.io/library/a:latest@{A}"), Now(a=A)) == ()
