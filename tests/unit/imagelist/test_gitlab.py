"""GitLab CI: what the examples in `data` do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.imagelist.shown import listed, structured

if TYPE_CHECKING:
    from pathlib import Path


MACHINE = "a virtual machine of GitLab, no container image"
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


def test_predefined_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come from the environment, as in a pipeline; the file's own ones win, and no others are looked for there."""
    monkeypatch.setenv("CI_REGISTRY_IMAGE", "r.io/g/p")
    monkeypatch.setenv("CI_TAG", "no")
    monkeypatch.setenv("OTHER", "no")
    file = tmp_path / ".gitlab-ci.yml"
    file.write_text(
        "variables: {CI_TAG: '1'}\na: {image: '$CI_REGISTRY_IMAGE/a:$CI_TAG', script: x}\n"
        "b: {image: $OTHER, script: x}\n"
    )
    assert listed(str(file)) == [
        f"note {file}:2: $CI_REGISTRY_IMAGE: taken from the environment",
        f"{file}:2 r.io/g/p/a:1",
        f"note {file}:3: $OTHER: $OTHER is known only in the pipeline",
    ]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("{name: a, pull_policy: never}", ["note f:1: a: pull_policy: never, nothing to pull"]),
        ("{name: a, pull_policy: [never]}", ["note f:1: a: pull_policy: never, nothing to pull"]),
        ("{name: a, pull_policy: [never, always]}", ["f:1 a"]),
        (
            "macos-14-xcode-15",
            [f"note f:1: macos-14-xcode-15: {MACHINE}"],
        ),
    ],
)
def test_images_that_no_runner_pulls(image: str, found: list[str]) -> None:
    """What is on the runner already, and what is a machine."""
    assert structured(f"j: {{image: {image}, script: x}}\n", "gitlab") == found


def test_an_include_of_something_else_is_no_pipeline() -> None:
    """Such as that of a test matrix."""
    (found,) = structured('{"include": [{"Pool": {"Size": "x"}}]}')
    assert found.startswith("bad f:1: unknown list format")
