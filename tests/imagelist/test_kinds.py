"""Kubernetes, skopeo and arrays: what the examples in `data` do not show; and directories."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from puller.imagelist import KINDS
from puller.imagelist.kinds import KINDS as STRUCTURED
from tests.imagelist.shown import listed, structured

if TYPE_CHECKING:
    from pathlib import Path

POD = "apiVersion: v1\nkind: Pod\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("spec: {containers: [{image: a}]}", ["f:3 a"]),
        ("spec: {containers: [{image: '  a  '}]}", ["f:3 a"]),
        ("spec: {containers: {image: a}}", ["f:3 a"]),
        ("spec: {containers: [{name: a}], volumes: [{name: b}]}", []),
        ("spec: {containers: [{image: {repository: a}}]}", []),
        ("spec: {containers: [{image: ''}]}", ["bad f:3: repository name must have at least one component"]),
        ("spec: {containers: [{image: 'a b'}]}", [
            'bad f:3: invalid reference format: white space, a control or a non-ASCII character: "a b"']),
        ("data: {containers: text}", []),
        ("spec: {volumes: [{image: {reference: a}}, {configMap: {name: b}}]}", ["f:3 a"]),
        ("spec: {containers: [{image: a}]}\n---\n---\n", ["f:3 a"]),
        ("kind: Pod\nspec: {containers: [{image: a}]}",
         ["note f:3: the key kind stood on line 2 already: this one counts", "f:4 a"]),
    ],
)  # fmt: skip
def test_pods(text: str, found: list[str]) -> None:
    """Containers with an image, and volumes of one."""
    assert structured(POD + text) == found


def test_what_is_no_pod() -> None:
    """A ConfigMap's data, a Secret's and a definition's schema may look like anything."""
    for kind in ("ConfigMap", "Secret", "CustomResourceDefinition"):
        assert structured(f"apiVersion: v1\nkind: {kind}\nspec: {{containers: [{{image: a}}]}}") == []


def test_aliases_are_visited_once() -> None:
    """A billion laughs in a manifest ends before it begins."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 60))
    assert structured(f"{POD}a0: &a0 [{{containers: [{{image: x}}]}}]\n{levels}") == ["f:3 x"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("r.io: {images: {a: ['1', '2']}}", ["f:1 r.io/a:1", "f:1 r.io/a:2"]),
        ("r.io: {images: {a: 1.0}}", ['bad f:1: expected a list of tags: "r.io/a"']),
        ("r.io: {images: {a: [[x]]}}", ['bad f:1: expected a tag or a digest: "r.io/a"']),
        ("r.io: {images: {A: [x]}}", [
            'bad f:1: invalid reference format: repository name (A) must be lowercase: "r.io/A:x"']),
        ("r.io: {images: {a: }}", [
            "note f:1: r.io/a: left out: without tags all of them are meant; write those that are wanted"]),
        ("r.io: {images: }", []),
        ("r.io: {tls-verify: false, images: {a: [x]}}\ns.io:5000:\n  images:\n    b/c: [y]", [
            "f:1 r.io/a:x", "f:4 s.io:5000/b/c:y"]),
    ],
)  # fmt: skip
def test_skopeo_sync(text: str, found: list[str]) -> None:
    """Tags and digests that are written out."""
    assert structured(text) == found


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
    assert structured("['a']", name="f.json") == ["bad f.json:1: not valid JSON: expected a value"]


def test_every_structured_kind_has_a_name() -> None:
    """`--from` knows them all, and two more."""
    assert set(STRUCTURED) | {"text", "dockerfile"} == set(KINDS)


def test_a_directory_by_kind(tmp_path: Path) -> None:
    """`--from` chooses which files of a directory are read."""
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "Dockerfile").write_text("FROM b\n")
    (tmp_path / "c.YAML").write_text("services: {c: {image: c}}\n")
    assert listed(str(tmp_path)) == [f"{tmp_path}/c.YAML:1 c"]
    assert listed(str(tmp_path), kind="text") == [f"{tmp_path}/a.txt:1 a"]
    assert listed(str(tmp_path), kind="dockerfile") == [f"{tmp_path}/Dockerfile:1 b"]


def test_a_directory_without_lists_is_empty(tmp_path: Path) -> None:
    """Files that are left out do not make it less so."""
    assert listed(str(tmp_path)) == [f"error {tmp_path}: no image reference in it"]
    (tmp_path / "package.json").write_text('{"name": "x"}')
    assert listed(str(tmp_path)) == [
        f"note {tmp_path}/package.json: left out: no kind of list that puller knows",
        f"error {tmp_path}: no image reference in it",
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


def test_a_structured_file_that_is_too_large(tmp_path: Path) -> None:
    """Sixteen mebibytes are enough for any; a text list has no limit."""
    large = tmp_path / "a.yaml"
    large.write_bytes(b"a: b\n")
    os.truncate(large, 17 * 1024 * 1024)
    assert listed(str(large)) == [f"error {large}: larger than 16 MiB: only a text list may be"]


def test_a_service_alone_is_no_error() -> None:
    """What is left out on purpose is something, although nothing is pulled."""
    assert listed("-", stdin="services: {web: {build: .}}") == [
        "note stdin:1: service web: only build:, nothing to pull"
    ]
