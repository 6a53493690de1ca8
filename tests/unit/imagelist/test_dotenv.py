"""The `.env` file beside a Compose file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from puller.errors import ListError
from puller.imagelist.variables import read_dotenv

if TYPE_CHECKING:
    from pathlib import Path


def test_a_dotenv_file_as_people_write_it(tmp_path: Path) -> None:
    """Bare, quoted, exported; comments; variables of its own and of the environment, which wins."""
    text = """
# comment
A=1
export B = two   # said here
C="with # hash and \\"quotes\\" and $A"
D='$A as it stands'
E=${A}-${HOME_OF}
F=
G=a#b
H: colon
I="two
lines"
not a line
2=x
A=3
"""
    (tmp_path / ".env").write_text(text)
    assert read_dotenv(tmp_path, {"HOME_OF": "here"}) == {
        "A": "3", "B": "two", "C": 'with # hash and "quotes" and 1', "D": "$A as it stands", "E": "1-here", "F": "",
        "G": "a#b", "H": "colon", "I": "two\nlines",
    }  # fmt: skip


def test_a_dotenv_file_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """It need not be there, and may be a folder or anything else."""
    assert read_dotenv(tmp_path / "missing", {}) == {}
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1\r\nB=\xff\r\nC=${oops\r\n")
    assert read_dotenv(tmp_path, {}) == {"A": "1", "B": "\ufffd", "C": "${oops"}


def test_other_files_by_the_environment(tmp_path: Path) -> None:
    """COMPOSE_ENV_FILES names them, later ones count more; COMPOSE_DISABLE_ENV_FILE leaves out `.env`."""
    for name, text in {".env": "A=0\nB=0\n", "a": "A=1\nB=1\n", "b": "B=${A}2\n"}.items():
        (tmp_path / name).write_text(text)
    assert read_dotenv(tmp_path, {"COMPOSE_ENV_FILES": f"{tmp_path}/a, {tmp_path}/b"}) == {"A": "1", "B": "12"}
    assert read_dotenv(tmp_path, {"COMPOSE_DISABLE_ENV_FILE": "true"}) == {}
    with pytest.raises(ListError, match="missing: cannot be read"):
        read_dotenv(tmp_path, {"COMPOSE_ENV_FILES": f"{tmp_path}/missing"})
