"""Where a list comes from, and how large it may be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.unit.imagelist.shown import listed

if TYPE_CHECKING:
    from pathlib import Path


def test_a_structured_file_that_is_too_large(tmp_path: Path) -> None:
    """Sixteen mebibytes are enough for any; a text list has no limit."""
    large = tmp_path / "a.yaml"
    large.write_bytes(b"a: b\n")
    os.truncate(large, 17 * 1024 * 1024)
    assert listed(str(large)) == [f"error {large}: larger than 16 MiB; only text lists may be larger"]
