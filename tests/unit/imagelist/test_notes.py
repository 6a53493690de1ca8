"""Notes for people: the few that matter are not lost among the many."""

from puller.imagelist import Note, Source
from puller.imagelist.notes import summary

FILES = [Note(Source(f"in/c{number}.yaml"), "left out: unknown list format") for number in range(5)]
ARGUMENTS = [Note(Source("op.yaml", number), "looks like an image", f"r.io/{number}:1") for number in range(12)]


def test_notes_of_one_kind_are_one_line() -> None:
    """From the second on; those of another kind, and of another list, have lines of their own."""
    other = Note(Source("in/a.yaml", 3), "image: is empty")
    assert [*summary([FILES[0], other], ["in"])] == [str(FILES[0]), str(other)]
    assert [*summary([*FILES, other], ["in"])] == [
        "in: 5 files left out: unknown list format (-v names them)",
        "in/a.yaml:3: image: is empty",
    ]


def test_subjects_and_lines_are_named() -> None:
    """The first ten of them."""
    assert [*summary(ARGUMENTS[:2], [])] == ["op.yaml: looks like an image: r.io/0:1 (line 0), r.io/1:1 (line 1)"]
    (line,) = summary(ARGUMENTS, [])
    assert line.endswith("r.io/9:1 (line 9) and 2 more (-v names them)")
    others = [Note(Source(f"in/{number}.yaml"), "looks like an image", "r.io/a:1") for number in range(2)]
    assert [*summary(others, ["in"])] == ["in: looks like an image: r.io/a:1"]
    unset = [Note(Source("c.yaml", number), "no value for TAG") for number in (3, 9)]
    assert [*summary(unset, ["c.yaml"])] == ["c.yaml: no value for TAG (line 3, line 9)"]


def test_verbose_names_them_all() -> None:
    """Each in its place, details too, and equal ones once."""
    detail = Note(Source("argument"), "a detail", is_detail=True)
    assert [*summary([*FILES, detail, detail], ["in"], verbose=True)] == [*map(str, FILES), "argument: a detail"]
    assert [*summary([detail], [])] == []
