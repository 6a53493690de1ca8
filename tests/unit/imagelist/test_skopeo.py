"""The YAML of skopeo-sync: what the examples in `data` do not show."""

from __future__ import annotations

import pytest

from tests.unit.imagelist.shown import structured


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("r.io: {images: {a: ['1', '2']}}", ["f:1 r.io/a:1", "f:1 r.io/a:2"]),
        ("r.io: {images: {a: 1.0}}", ['bad f:1: expected a list of tags: "r.io/a"']),
        ("r.io: {images: {a: [[x]]}}", ['bad f:1: expected a tag or a digest: "r.io/a"']),
        ("r.io: {images: {A: [x]}}", [
            'bad f:1: invalid reference format: repository name (A) must be lowercase: "r.io/A:x"']),
        ("r.io: {images: {a: }}", [
            "note f:1: r.io/a: left out: no tags means all tags; list the tags to pull"]),
        ("r.io: {images: }", []),
        ("r.io: {tls-verify: false, images: {a: [x]}}\ns.io:5000:\n  images:\n    b/c: [y]", [
            "f:1 r.io/a:x", "f:4 s.io:5000/b/c:y"]),
    ],
)  # fmt: skip
def test_skopeo_sync(text: str, found: list[str]) -> None:
    """Tags and digests that are written out."""
    assert structured(text) == found


def test_keys_that_are_no_registries() -> None:
    """Values of a chart may have `images`, too."""
    assert structured("global: {images: {app: [one]}}")[0].startswith("bad f:1: unknown list format")
    assert structured("localhost: {images: {app: [one]}}") == ["f:1 localhost/app:one"]
