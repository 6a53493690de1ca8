"""A directory as a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.imagelist.shown import listed

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_by_format(tmp_path: Path) -> None:
    """`--from` chooses which files of a directory are read."""
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "Dockerfile").write_text("FROM b\n")
    (tmp_path / "c.YAML").write_text("services: {c: {image: c}}\n")
    assert listed(str(tmp_path)) == [f"{tmp_path}/c.YAML:1 c"]
    assert listed(str(tmp_path), list_format="text") == [f"{tmp_path}/a.txt:1 a"]
    assert listed(str(tmp_path), list_format="dockerfile") == [f"{tmp_path}/Dockerfile:1 b"]


def test_a_directory_without_lists_is_empty(tmp_path: Path) -> None:
    """Files that are left out do not make it less so."""
    assert listed(str(tmp_path)) == [f"error {tmp_path}: contains no image reference"]
    (tmp_path / "package.json").write_text('{"name": "x"}')
    assert listed(str(tmp_path)) == [
        f"note {tmp_path}/package.json: left out: unknown list format",
        f"error {tmp_path}: contains no image reference",
    ]


def test_files_of_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    """A broken link and a bad file are bad lines, and the others are read; loops are not followed."""
    (tmp_path / "a.yaml").symlink_to("nowhere")
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    (tmp_path / "c.yaml").write_text("- c")
    (tmp_path / "d").symlink_to(tmp_path, target_is_directory=True)
    assert listed(str(tmp_path)) == [
        f"bad {tmp_path}/a.yaml: cannot be read: No such file or directory",
        f"bad {tmp_path}/b.yaml:1: not valid UTF-8",
        f"{tmp_path}/c.yaml:1 c",
    ]
    (tmp_path / "a.txt").symlink_to("nowhere")
    (tmp_path / "b.txt").write_text("b\n")
    assert listed(str(tmp_path), list_format="text") == [
        f"bad {tmp_path}/a.txt: cannot be read: No such file or directory",
        f"{tmp_path}/b.txt:1 b",
    ]
