"""What a bad line says to a person."""

from __future__ import annotations

import pytest

from puller.imagelist import BadLine, Note, Source
from puller.text import clean


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (Source("images.txt", 3), "images.txt:3"),
        (Source("stdin", 1), "stdin:1"),
        (Source("--image"), "--image"),
        (Source("evil\x1b[31m\n.txt", 2), "evil .txt:2"),
    ],
)
def test_a_source_points_at_its_line(source: Source, shown: str) -> None:
    """A source reads FILE:LINE, or the option alone, and is one safe line."""
    assert str(source) == shown


def test_a_bad_line_shows_what_stood_there() -> None:
    """The reason follows FILE:LINE, and the text stands in quotes at the end."""
    assert (
        str(BadLine(Source("a.txt", 7), "x  y", "one image reference per line"))
        == 'a.txt:7: one image reference per line: "x y"'
    )


def test_a_bad_line_without_text_shows_no_quotes() -> None:
    """Where showing the line would help nobody there is only the reason."""
    assert str(BadLine(Source("a.txt", 7), "", "binary data")) == "a.txt:7: binary data"


def test_text_and_reason_are_safe_and_short_from_the_start() -> None:
    """A bad line never holds more than a few hundred characters, however long the line was."""
    bad = BadLine(Source("a.txt", 1), "A\x1b[31m" * 50_000, "b\x07" * 50_000)
    assert len(bad.text) <= 512
    assert len(bad.reason) <= 200
    assert len(str(bad)) < 400
    assert clean(str(bad)) == str(bad)


def test_noise_before_a_password_does_not_uncover_it() -> None:
    """A secret is masked before the text is cut, so that half a password cannot remain."""
    text = "\x1b[31m" * 4_000 + "https://user:hunter2" + "\x1b[0m" * 4_000 + "@registry.example/x"
    assert "hunter2" not in str(BadLine(Source("a.txt", 1), text, "no"))


def test_a_note_is_safe_and_short() -> None:
    """What a file holds cannot colour a terminal or show a password, in a note as in a bad line."""
    note = Note(Source("a.yaml", 1), "https://user:hunter2@h/x \x1b[31m\nred" * 1_000)
    assert str(note).startswith("a.yaml:1: https://***@h/x red")
    assert len(note.text) <= 300
    assert "hunter2" not in str(note)
