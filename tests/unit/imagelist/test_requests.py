"""From entries to requests."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from puller.errors import FailureClass, FailureKind, ListError
from puller.failure import failure
from puller.image.reference import ImageReference, Platform
from puller.imagelist import read
from puller.imagelist.requests import RequestedImages, request_images
from puller.model import PullOutcome, PullRequest, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARM = Platform("linux", "arm64")


def planned(text: str, *, platform: Platform | None = None) -> RequestedImages:
    """Read a text list."""
    return request_images(read(["-"], stdin=io.BytesIO(text.encode())), platform=platform)


def test_spellings_of_one_image_are_one_request() -> None:
    """Duplicates go, and every distinct spelling is kept in the order of the list."""
    (request,) = planned("ubuntu\ndocker.io/library/ubuntu:latest\nubuntu\nindex.docker.io/ubuntu\n").requests
    assert request.reference.canonical == "docker.io/library/ubuntu:latest"
    assert request.reference.text == "ubuntu"
    assert request.requested == ("ubuntu", "docker.io/library/ubuntu:latest", "index.docker.io/ubuntu")


def test_a_file_that_is_skipped_has_an_advice_of_its_own() -> None:
    """A broken file is no reference with a spelling error; a bad line is."""
    broken = planned("services: {a: {image: a}\n").rejected[0].failure
    line = planned("a\nNO\n").rejected[0].failure
    assert broken
    assert (broken.advice, broken.message[:26]) == ("Correct the list at this line.", "stdin:2: not valid YAML: d")
    assert line
    assert line.advice == failure(FailureKind.BAD_REFERENCE, "").advice


def test_requests_stand_in_the_order_of_first_appearance() -> None:
    """A later duplicate moves nothing."""
    requests = planned("c\na\nb\na\nc:latest\n").requests
    assert [request.reference.text for request in requests] == ["c", "a", "b"]


def test_a_tag_and_a_digest_are_different_images() -> None:
    """Only the same canonical reference is a duplicate."""
    digest = "sha256:" + "a" * 64
    assert len(planned(f"nginx\nnginx:1\nnginx@{digest}\nnginx:1@{digest}\n").requests) == 4


def test_one_image_for_two_platforms_is_two_requests() -> None:
    """The platform belongs to what makes a request unique, whatever its alias."""
    text = "--platform=linux/arm64 nginx\n--platform=linux/amd64 nginx\n--platform=linux/aarch64 nginx\nnginx\n"
    platforms = [str(request.platform) for request in planned(text).requests]
    assert platforms == ["linux/arm64", "linux/amd64", "None"]


def test_the_platform_of_the_run_is_for_lines_without_one() -> None:
    """A line's own platform wins; with the run's filled in, equal wishes are one."""
    text = "nginx\n--platform=linux/amd64 nginx\n--platform=linux/arm64 docker.io/nginx\n"
    first, second = planned(text, platform=ARM).requests
    assert (first.platform, first.requested) == (ARM, ("nginx", "docker.io/nginx"))
    assert str(second.platform) == "linux/amd64"


def test_bad_lines_are_kept_and_become_failed_outcomes() -> None:
    """A run that skips bad lines still reports each as failed, with FILE:LINE and the line made safe."""
    made = planned("nginx\nNGI\x1b[31mNX\nhttps://u:hunter2@h/x\n")
    assert len(made.requests) == 1
    assert [str(bad.source) for bad in made.bad] == ["stdin:2", "stdin:3"]
    first, second = made.rejected
    assert (first.reference, first.requested, first.status) == ("NGINX", ("NGINX",), Status.FAILED)
    assert first.failure is not None
    assert first.failure.kind is FailureKind.BAD_REFERENCE
    assert first.failure.failure_class is FailureClass.PERMANENT
    assert first.failure.message.startswith("stdin:2: invalid reference format")
    assert "hunter2" not in repr(second)


def test_a_bad_line_without_text_is_called_by_its_place() -> None:
    """An outcome always has a name to show."""
    (outcome,) = planned("a\0b").rejected
    assert outcome.reference == "stdin:1"


def test_an_error_of_the_list_goes_through() -> None:
    """The plan of an unreadable list is no empty plan."""
    with pytest.raises(ListError):
        planned("")


def test_sources_are_kept_when_they_are_asked_for() -> None:
    """Each request knows every place where it is written, once; nobody else pays for that."""
    text = "a\nb\na:latest\n"
    made = request_images(read(["-"], ["b"], stdin=io.BytesIO(text.encode())), keep_sources=True)
    assert [[str(source) for source in sources] for sources in made.sources] == [
        ["stdin:1", "stdin:3"],
        ["stdin:2", "--image"],
    ]
    assert planned(text).sources == ()


def test_notes_are_kept_and_are_no_failures() -> None:
    """What a list leaves out on purpose is neither a request nor a rejected line."""
    made = planned("services: {web: {build: .}, db: {image: postgres}}")
    assert [str(note) for note in made.notes] == ["stdin:1: service web: only build:, nothing to pull"]
    assert (len(made.requests), made.rejected) == (1, ())


def test_a_plan_without_bad_lines_rejects_nothing() -> None:
    """The usual list has no bad lines."""
    made = planned("nginx")
    assert (made.bad, made.rejected) == ((), ())


def test_twenty_thousand_lines_fit_in_little_memory() -> None:
    """The memory is that of the requests: neither the file nor its entries are held."""

    class Lines(io.BytesIO):
        """Lines made when they are asked for."""

        def __init__(self) -> None:
            super().__init__()
            self.lines: Iterator[bytes] = (
                f"registry{number % 9}.example/team/app{number}:1\n".encode() for number in range(20_000)
            )

        def readline(self, size: int | None = -1, /) -> bytes:
            return next(self.lines, b"")

    tracemalloc.start()
    try:
        made = request_images(read(["-"], stdin=Lines()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(made.requests) == 20_000
    assert peak < 30_000_000


def test_what_lists_say_of_an_image(tmp_path: Path) -> None:
    """One list that wants it anyway is enough; so is one that says how to build it."""
    (tmp_path / "c.yaml").write_text(
        "services:\n  a: {image: a, pull_policy: missing, build: .}\n  b: {image: b, pull_policy: if_not_present}\n"
    )
    (tmp_path / "l.txt").write_text("a\n")
    lists = [str(tmp_path / name) for name in ("c.yaml", "l.txt")]
    marks = [(each.buildable, each.if_missing) for each in request_images(read(lists)).requests]
    assert marks == [(True, False), (False, True)]


def test_an_image_that_may_have_to_be_built() -> None:
    """Its failure says so, where it is in no registry."""
    request = PullRequest(ImageReference.parse("a"), buildable=True)
    for kind, is_said in ((FailureKind.NOT_FOUND, True), (FailureKind.DNS_FAILURE, False)):
        outcome = PullOutcome.of(request, Status.FAILED, failure=failure(kind, "x"))
        assert outcome.failure is not None
        assert ("docker compose build" in outcome.failure.advice) is is_said
