"""Google Cloud Build: the images that it runs, never those that it pushes."""

from __future__ import annotations

import pytest

from tests.unit.imagelist.shown import structured


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "steps: [{name: gcr.io/b/docker, args: [build]}]\nimages: ['r.io/$PROJECT_ID/app:1']",
            ["f:1 gcr.io/b/docker"],
        ),
        ("steps:\n- name: 'a:$_V'\n- name: 'b:${_V}'\nsubstitutions: {_V: '2'}", ["f:2 a:2", "f:3 b:2"]),
        ("steps:\n- name: $PROJECT_ID/a", ["note f:2: $PROJECT_ID/a: known only when the build runs"]),
        (
            "steps:\n- name: A",
            ['bad f:2: invalid reference format: repository name (library/A) must be lowercase: "A"'],
        ),
    ],
)
def test_cloud_build(text: str, found: list[str]) -> None:
    """`images` beside `steps` is no array of images to pull."""
    assert structured(text) == found


def test_what_is_no_build() -> None:
    """Steps of something else."""
    assert structured("steps: [{name: a}]\njobs: 1")[0].startswith("bad f:1: unknown list format")
    assert structured("steps: [{run: a}]")[0].startswith("bad f:1: unknown list format")
