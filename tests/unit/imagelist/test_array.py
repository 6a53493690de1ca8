"""Arrays of references and objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.imagelist.shown import structured

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", []),
        ('["a", "b"]', ["f:1 a", "f:1 b"]),
        ('{"images": ["a"]}', ["f:1 a"]),
        ('{"images": [{"reference": "a", "platform": null}]}', ["f:1 a"]),
        ('[{"image": "a", "platform": "linux"}]', [
            "bad f:1: 'linux' is not a platform such as linux/amd64 or linux/arm/v7: \"a\""]),
        ('["A"]', ['bad f:1: invalid reference format: repository name (library/A) must be lowercase: "A"']),
        ("[a,\n b]", ["f:1 a", "f:2 b"]),
    ],
)  # fmt: skip
def test_arrays(text: str, found: list[str]) -> None:
    """Strings, or objects with an image."""
    assert structured(text) == found


def test_json_by_name_is_json(tmp_path: Path) -> None:
    """What fails as JSON is read as YAML, unless its name says that it was to be JSON."""
    assert structured("['a']") == ["f:1 a"]
    assert structured("['a']", name="f.json") == ["bad f.json:1: not valid JSON: Expecting value"]
