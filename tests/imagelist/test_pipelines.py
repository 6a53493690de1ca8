"""GitHub Actions and GitLab CI: what the examples in `data` do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.imagelist.shown import listed, structured

if TYPE_CHECKING:
    from pathlib import Path

LATE = "is known only when the workflow runs"


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


GITLAB = "stages: [a]\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("image: a\n", ["f:2 a"]),
        ("image: a\nj: {script: x, image: b}\n", ["f:3 b"]),
        ("default: {image: {name: a, entrypoint: ['']}}\nj: {script: x}\n", ["f:2 a"]),
        ("default: {image: a}\nj: {script: x, inherit: {default: [services]}, services: []}\n", []),
        ("default: {image: a}\nj: {script: x, inherit: {default: [image]}}\n", ["f:2 a"]),
        (".x: {image: a}\nj: {script: x}\n", []),
        (".x: {image: a}\n.y: {extends: .x}\nj: {extends: [.y], script: x}\n", ["f:2 a"]),
        (".x: {image: a}\n.y: {image: b}\nj: {extends: [.x, .y], script: x}\n", ["f:3 b"]),
        ("j: {extends: j, image: a, script: x}\n", ["f:2 a"]),
        ("j: {extends: .no, script: x}\n", ["note f:2: extends .no: not in the files that were read"]),
        (".x: {image: a}\nj: {image: !reference [.x, image], script: x}\n", ["f:2 a"]),
        ("j: {image: !reference [.no, image], script: x}\n", []),
        (".x: {services: [a, {name: b}]}\nj: {services: [!reference [.x, services], c], script: x}\n",
         ["f:2 a", "f:2 b", "f:3 c"]),
        ("variables: {A: $B, B: $A}\nj: {image: x/$A, script: x}\n",
         ["note f:3: x/$A: $A is known only in the pipeline"]),
        ("variables: {V: 3.10, W: '3.10', X: 3.0}\nj: {image: 'a:$V', services: ['b:$W', 'c:$X'], script: x}\n",
         ["f:3 a:3.1", "f:3 b:3.10", "f:3 c:3.0"]),
        ("j: {image: 'a:$[[ inputs.tag ]]', script: x}\n",
         ["note f:2: a:$[[ inputs.tag ]]: $[[ inputs.tag ]] is known only in the pipeline"]),
        ("j: {image: 'A:1', script: x}\n",
         ['bad f:2: invalid reference format: repository name (library/A) must be lowercase: "A:1"']),
        ("j: {image: [a], script: x}\n", []),
        ("j: {image: {name: a, docker: {platform: linux/arm64}}, script: x}\n", ["f:2 linux/arm64 a"]),
        ("j: {trigger: {include: x.yml}, image: a}\n", []),
    ],
)  # fmt: skip
def test_the_jobs_of_a_pipeline(text: str, found: list[str]) -> None:
    """An image counts where a job that can run uses it."""
    assert structured(GITLAB + text, "gitlab") == found


def test_local_includes_start_from_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a file further down, with wildcards, each file once; and later definitions win."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "a.yml").write_text(
        "include: '/ci/*.yml'\n.base: {image: a}\none: {extends: .base, script: x}\n"
    )
    (tmp_path / "ci" / "b.yml").write_text("include: {local: ci/a.yml}\n.base: {image: b}\n")
    (tmp_path / "ci" / "main.gitlab-ci.yml").write_text("include:\n  - local: /ci/b.yml\n  - local: no.yml\n")
    assert listed("ci/main.gitlab-ci.yml") == [
        "ci/b.yml:2 b",
        "bad ci/main.gitlab-ci.yml:3: no.yml: cannot be read: No such file or directory",
    ]


def test_variables_cannot_multiply() -> None:
    """Variables that hold variables are worked out once each."""
    values = "".join(f"  V{n}: {'$V' + str(n + 1)}{'$V' + str(n + 1)}\n" for n in range(60))
    (found,) = structured(f"stages: [a]\nvariables:\n{values}  V60: xxxx\nj: {{image: $V0, script: x}}\n", "gitlab")
    assert found.startswith("bad f:")


def test_aliases_cannot_multiply() -> None:
    """Services that are a billion laughs come to an end."""
    levels = "".join(f".a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20))
    structured(f"stages: [a]\n.a0: &a0 [x]\n{levels}j: {{services: *a19, script: x}}\n", "gitlab")


def test_long_chains_end() -> None:
    """Thousands of jobs that extend each other are not followed until the stack is full."""
    jobs = "".join(f".j{n}: {{extends: .j{n + 1}}}\n" for n in range(3_000))
    assert structured(f"stages: [a]\n{jobs}.j3000: {{image: a}}\nj: {{extends: .j2995, script: x}}\n", "gitlab") == [
        "f:3002 a"
    ]
    assert structured(f"stages: [a]\n{jobs}.j3000: {{image: a}}\nj: {{extends: .j0, script: x}}\n", "gitlab") == []
