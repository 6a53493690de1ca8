"""GitHub Actions: what the examples in `data` do not show."""

from __future__ import annotations

import pytest

from tests.unit.imagelist.shown import structured

LATE = "known only when the workflow runs"


def workflow(matrix: str, image: str) -> list[str]:
    """Read a workflow of one job with a matrix."""
    found = structured(f'on: push\njobs: {{a: {{strategy: {{matrix: {matrix}}}, container: "{image}"}}}}')
    return [line.removeprefix("f:2 ") for line in found]


@pytest.mark.parametrize(
    ("matrix", "image", "found"),
    [
        ("{v: [1, 2]}", "a:${{ matrix.v }}", ["a:1", "a:2"]),
        ("{v: [3.9, 3.10, '3.10', 3.0]}", "a:${{matrix.v}}", ["a:3.9", "a:3.1", "a:3.10", "a:3"]),
        ("{v: [1], w: [x, y]}", "${{ matrix.w }}:${{ matrix.v }}", ["x:1", "y:1"]),
        ("{v: [{i: a}, {i: b}]}", "${{ matrix.v.i }}", ["a", "b"]),
        ("{v: [{i: a}]}", "${{ matrix['v']['i'] }}", ["a"]),
        ("{v: [a, '']}", "${{ matrix.v }}", ["a"]),
        ("{v: [a]}", "${{ matrix.none }}", []),
        ("{include: [{v: a}, {v: b}]}", "${{ matrix.v }}", ["a", "b"]),
        ("{v: [a], include: [{v: a, t: 1}, {v: b, t: 2}]}", "${{ matrix.v }}:${{ matrix.t }}", ["a:1", "b:2"]),
        ("{v: [a, b], exclude: [{v: b}]}", "${{ matrix.v }}", ["a"]),
        ("{v: [a]}", "${{ 'b:1' }}", ["b:1"]),
    ],
)
def test_a_matrix_that_is_written_out(matrix: str, image: str, found: list[str]) -> None:
    """Each value once, as GitHub would write it: to whom 3.10 is 3.1."""
    assert workflow(matrix, image) == found


@pytest.mark.parametrize(
    ("matrix", "image"),
    [
        ("{v: '${{ fromJSON(x) }}'}", "${{ matrix.v }}"),
        ("'${{ fromJSON(x) }}'", "${{ matrix.v }}"),
        ("{v: ['${{ inputs.v }}']}", "${{ matrix.v }}"),
        ("{v: [a]}", "${{ matrix.v || 'b' }}"),
        ("{v: [a]}", "${{ env.IMAGE }}"),
        (f"{{v: {list(range(17))}, w: {list(range(17))}}}", "a:${{ matrix.v }}"),
    ],
)
def test_what_only_a_run_knows_is_said(matrix: str, image: str) -> None:
    """No guess, and no error: the workflow is right."""
    (note,) = workflow(matrix, image)
    assert note.startswith("note f:2: job a: ")
    assert note.endswith(LATE)


def test_on_is_no_truth() -> None:
    """YAML 1.1 would read the key `on` as True, with or without quotes."""
    for key in ("on", '"on"', "'on'"):
        assert structured(f"{key}: push\njobs: {{a: {{container: x}}}}") == ["f:2 x"]
