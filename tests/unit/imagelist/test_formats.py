"""The table of structured formats."""

from __future__ import annotations

from puller.imagelist import FORMATS
from puller.imagelist.formats import FORMATS as STRUCTURED


def test_every_structured_format_has_a_name() -> None:
    """`--from` knows them all, and two more."""
    assert set(STRUCTURED) | {"text", "dockerfile"} == set(FORMATS)
