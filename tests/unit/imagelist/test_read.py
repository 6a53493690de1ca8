"""Reading several lists: paths, stdin and single references."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from puller.errors import ListError
from puller.imagelist import BadLine, Entry, read

if TYPE_CHECKING:
    from pathlib import Path


def test_lists_come_in_order_and_single_images_last(tmp_path: Path) -> None:
    """The order is that of the arguments, each entry knows where it was written, `--image` comes after."""
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("nginx\n")
    two.write_text("\nredis\nNO\n")
    found = [
        str(item.source) for item in read([str(two), "-", str(one)], ["ubuntu", "NO"], stdin=io.BytesIO(b"busybox"))
    ]
    assert found == [f"{two}:2", f"{two}:3", "stdin:1", f"{one}:1", "--image", "--image"]


def test_stdin_is_the_real_one_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stream of one's own, `-` reads the standard input of the process."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"nginx\n")))
    (entry,) = read(["-"])
    assert isinstance(entry, Entry)
    assert entry.reference.text == "nginx"


def test_reading_is_lazy(tmp_path: Path) -> None:
    """The first entry is there before the second list is opened."""
    path = tmp_path / "a.txt"
    path.write_text("nginx\n")
    entries = read([str(path), str(tmp_path / "missing")])
    assert isinstance(next(entries), Entry)
    with pytest.raises(ListError, match="missing: cannot be read: No such file or directory"):
        next(entries)


def test_a_single_image_is_a_reference_and_nothing_else() -> None:
    """`--image` takes no platform prefix, no comment and no option."""
    for text in ("--platform=linux/arm64 nginx", "nginx # x", "--help", "", "\udcff"):
        (bad,) = read([], [text])
        assert isinstance(bad, BadLine)
        assert str(bad).startswith("--image: ")


def test_a_list_that_breaks_off_is_an_error() -> None:
    """A disk or a pipe that fails while it is read must not look like a short list."""

    class Broken(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(ListError, match=r"^stdin: cannot be read: Input/output error$"):
        list(read(["-"], stdin=Broken()))


def test_a_process_without_stdin_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard input is a clear message, not an AttributeError."""
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ListError, match=r"^stdin: is closed$"):
        list(read(["-"]))


def test_stdin_twice_is_refused_before_anything_is_read() -> None:
    """The second `-` would be silently empty."""
    stdin = io.BytesIO(b"nginx\n")
    with pytest.raises(ListError, match="stdin can be read only once"):
        list(read(["-", "-"], stdin=stdin))
    assert stdin.tell() == 0


def test_no_image_anywhere_is_an_error(tmp_path: Path) -> None:
    """Lists of comments alone are named one by one: pulling nothing is hardly what was meant."""
    path = tmp_path / "a.txt"
    path.write_text("# nothing\n")
    with pytest.raises(ListError) as caught:
        list(read([str(path), "-"], stdin=io.BytesIO()))
    assert caught.value.problems == (f"{path}: contains no image reference", "stdin: contains no image reference")
    with pytest.raises(ListError):
        list(read([]))


def test_one_empty_list_among_full_ones_is_fine(tmp_path: Path) -> None:
    """Only the sum of all lists must not be empty."""
    (tmp_path / "empty").touch()
    assert len(list(read([str(tmp_path / "empty")], ["nginx"]))) == 1


def test_a_list_of_bad_lines_is_not_empty() -> None:
    """Bad lines are reported as bad lines."""
    (bad,) = read(["-"], stdin=io.BytesIO(b"NGINX\n"))
    assert isinstance(bad, BadLine)


def test_a_file_name_cannot_forge_a_message(tmp_path: Path) -> None:
    """A path is made safe before it is shown."""
    with pytest.raises(ListError) as caught:
        list(read([str(tmp_path / "no\x1b[31m\nfile")]))
    (problem,) = caught.value.problems
    assert problem.startswith(f"{tmp_path}/no file: cannot be read: No such file or directory; nor is it an image: ")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary())
def test_arbitrary_files_raise_nothing_but_list_errors(tmp_path: Path, data: bytes) -> None:
    """Whatever a file holds, the only exception is the one that the main door knows."""
    path = tmp_path / "noise"
    path.write_bytes(data)
    try:
        found: tuple[object, ...] = tuple(read([str(path)]))
    except ListError as error:
        found = error.problems
    assert found


def test_a_binary_file_is_one_complaint(tmp_path: Path) -> None:
    """An archive taken for a list is told once, although its first lines are no text either."""
    path = tmp_path / "image.tar.gz"
    path.write_bytes(b"\x1f\x8b\xff\xfe\n\xff\n\0\0")
    assert [str(item) for item in read([str(path)])] == [f"{path}:1: binary data, not a text list"]
