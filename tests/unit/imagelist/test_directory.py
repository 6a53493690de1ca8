"""A directory as a list."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from puller.imagelist import BadLine, Entry, read
from tests.unit.imagelist.shown import listed

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_by_format(tmp_path: Path) -> None:
    """`--from` chooses which files of a directory are read."""
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "Dockerfile").write_text("FROM b\n")
    (tmp_path / "c.YAML").write_text("services: {c: {image: c}}\n")
    assert listed(str(tmp_path)) == [
        f"{tmp_path}/c.YAML:1 c",
        f"note {tmp_path}: passed over: 1 text file (--from text), 1 Dockerfile (--from dockerfile)",
    ]
    assert listed(str(tmp_path), list_format="text") == [f"{tmp_path}/a.txt:1 a"]
    assert listed(str(tmp_path), list_format="dockerfile") == [f"{tmp_path}/Dockerfile:1 b"]


def test_a_directory_without_lists_is_empty(tmp_path: Path) -> None:
    """Files that are left out do not make it less so."""
    assert listed(str(tmp_path)) == [f"error {tmp_path}: contains no image reference"]
    (tmp_path / "package.json").write_text('{"name": "x"}')
    assert listed(str(tmp_path)) == [
        said := f"note {tmp_path}/package.json: left out: unknown list format",
        f"error {tmp_path}: contains no image reference; {said.removeprefix('note ')}",
    ]
    (tmp_path / "web.yaml").write_text("kind: Pod\napiVersion: v1\nspec: {containers: [{image: $A}]}")
    assert listed(str(tmp_path))[-1].endswith("/web.yaml:3: $A: left out: contains a variable: run envsubst first")


def test_files_of_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    """A broken link and what is no list are left out, and the others are read; loops are not followed."""
    (tmp_path / "a.yaml").symlink_to("nowhere")
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    (tmp_path / "c.yaml").write_text("- c:1")
    (tmp_path / "d").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "e.yaml")
    (tmp_path / "f.yaml").symlink_to("f.yaml")
    assert listed(str(tmp_path)) == [
        f"note {tmp_path}/a.yaml: left out: a link to a file that does not exist",
        f"note {tmp_path}/b.yaml: left out: neither YAML nor JSON that puller can read",
        f"{tmp_path}/c.yaml:1 c:1",
        f"note {tmp_path}/e.yaml: left out: cannot be read: not a regular file",
        f"note {tmp_path}/f.yaml: left out: a link to a file that does not exist",
        f"note {tmp_path}: passed over: 1 directory link (name it)",
    ]
    (tmp_path / "a.txt").symlink_to("nowhere")
    (tmp_path / "b.txt").write_text("b\n")
    assert listed(str(tmp_path), list_format="text") == [
        f"note {tmp_path}/a.txt: left out: a link to a file that does not exist",
        f"{tmp_path}/b.txt:1 b",
        f"note {tmp_path}: passed over: 1 directory link (name it)",
    ]


def written(folder: Path, files: dict[str, str]) -> str:
    """Write files, and return the folder's path."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tsconfig.json", '{\n  // a comment\n  "strict": true,\n}'),
        ("notes.yaml", "? [a, b]\n: c\n"),
        ("labels.yaml", '- "proxy.enable=true"\n'),
        ("zones.json", '["Africa/Abidjan", "UTC"]'),
        ("endpoints.json", '["requests", "caches"]'),
        ("users.json", '[{"name": "a", "image": "avatar.png"}]'),
        ("gallery.json", '{"images": ["one", "two"]}'),
        ("cloudbuild.json", '{"images": ["$PROJECT_ID/app:1"], "build": 1}'),
        ("values.yaml", "global: {images: {app: [one]}}\n"),
        ("package-lock.json", '["a:1"]'),
        ("big.json", " " * (17 << 20)),
    ],
)
def test_what_is_no_list_in_a_directory_costs_nothing(tmp_path: Path, name: str, text: str) -> None:
    """It is left out, neither an image nor an error."""
    folder = written(tmp_path, {"web.yaml": "services: {a: {image: 'a:1'}}\n", f"sub/{name}": text})
    found = [line for line in listed(folder) if not line.startswith(f"note {tmp_path}/sub/{name}: left out: ")]
    assert found == [f"{tmp_path}/web.yaml:1 a:1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '["requests", "caches:1"]'),
        ("a.yaml", "- registry.example/a\n- b\n"),
        ("a.json", '[{"image": "a:1"}]'),
        ("lock.json", '{"images": [{"reference": "a@sha256:' + "0" * 64 + '"}]}'),
    ],
)
def test_an_array_of_references_in_a_directory_is_a_list(tmp_path: Path, name: str, text: str) -> None:
    """One of them has a tag, a digest or a registry."""
    assert not any(line.startswith(("note", "bad", "error")) for line in listed(written(tmp_path, {name: text})))


POD = "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: %s}]}\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("web.yaml", "{{- if .x }}\nimage: {{ .Values.image }}\n",
         ":1: left out: an unrendered template: render it first (helm template, kustomize build, …)"),
        ("web.yaml", POD % "'{{ .image }}'",
         ":3: {{ .image }}: left out: a template: render it first (helm template, kustomize build, …)"),
        ("web.yaml", POD % "'${IMAGE}'", ":3: ${IMAGE}: left out: contains a variable: run envsubst first"),
        ("web.yaml", POD % "<your-image>",
         ":3: <your-image>: left out: contains a placeholder: replace it with the image"),
        ("chart/Chart.yaml", "name: x\n",
         ": left out: a Helm chart: render it first: helm template CHART | puller list -"),
    ],
)  # fmt: skip
def test_templates_among_other_files_are_notes(tmp_path: Path, name: str, text: str, said: str) -> None:
    """They do not hinder the other files; but `puller prune` must not take their images for unused ones."""
    folder = written(tmp_path, {name: text, "a.yaml": "services: {a: {image: 'a:1'}}\n"})
    assert listed(folder) == [f"{folder}/a.yaml:1 a:1", f"note {folder}/{name}{said}"]
    assert [type(item) for item in read([folder], only_files=True)] == [Entry, BadLine]


def test_a_manifest_that_is_broken_is_an_error(tmp_path: Path) -> None:
    """It names an image, which would be missing."""
    (found,) = listed(written(tmp_path, {"a.yaml": "image: a:1\n b: c\n"}))
    assert found.startswith(f"bad {tmp_path}/a.yaml:2: not valid YAML")


def test_what_a_directory_passes_over_is_named(tmp_path: Path) -> None:
    """With how to read it; known files of other tools are not counted."""
    files = dict.fromkeys(
        ["images.txt", "requirements.txt", "yarn.lock", "app/Dockerfile", "Dockerfile.dockerignore", "dockerfile.go",
         ".gitlab-ci.yml", ".github/workflows/a.yml", ".github/workflows/b.yaml"], "x\n",
    )  # fmt: skip
    assert listed(written(tmp_path, files)) == [
        said := f"note {tmp_path}: passed over: 1 text file (--from text), 1 Dockerfile (--from dockerfile), "
        "1 GitLab CI file (name the file), 2 GitHub workflows (name .github/workflows)",
        said.replace("note ", "error ").replace(": passed", ": contains no image reference; passed"),
    ]


TEMPLATE = "left out: an unrendered template: render it first"


def test_dockerfiles_of_a_directory(tmp_path: Path) -> None:
    """Files that only begin like one are passed over, templates are notes."""
    folder = written(
        tmp_path,
        {
            "Dockerfile": "FROM a\n",
            "Dockerfile-alpine.template": "FROM alpine:0.0\n",
            "b.Dockerfile": "FROM b:{{ .version }}\n",
            "Dockerfile.erb": "<% x %>\nFROM c\n",
            "Dockerfile.dockerignore": "*.log\n",
            "dockerfile.go": "package x\n",
            "Dockerfile.part": "RUN x\n",
            "c.Dockerfile": "FROM $A\n",
        },
    )
    assert listed(folder, list_format="dockerfile") == [
        f"{folder}/Dockerfile:1 a",
        f"note {folder}/Dockerfile-alpine.template:1: {TEMPLATE}",
        f"note {folder}/Dockerfile.erb:1: {TEMPLATE}",
        f"note {folder}/Dockerfile.part:1: left out: not a Dockerfile: it has no FROM",
        f"note {folder}/b.Dockerfile:1: {TEMPLATE}",
        (
            f"note {folder}/c.Dockerfile:1: $A: left out: no value for A: set it with --build-arg A=VALUE, "
            "or write a default before FROM (ARG A=VALUE)"
        ),
    ]
    assert listed(f"{folder}/b.Dockerfile") == [f"bad {folder}/b.Dockerfile:1: an unrendered template: render it first"]


def test_an_override_file_alone_is_a_list(tmp_path: Path) -> None:
    """Beside the file that it overrides it is a part of that."""
    folder = written(tmp_path, {"compose.override.yaml": "services: {a: {image: 'a:1'}}\n"})
    assert listed(folder) == [f"{folder}/compose.override.yaml:1 a:1"]
    written(tmp_path, {"compose.yaml": "services: {a: {image: 'a:0'}, b: {image: 'b:1'}}\n"})
    assert listed(folder) == [f"{folder}/compose.override.yaml:1 a:1", f"{folder}/compose.yaml:1 b:1"]


def test_a_project_of_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COMPOSE_FILE in `.env`, or for the current directory in the environment, names the files of one project."""
    files = {
        "base.yaml": "services: {web: {image: 'a:dev'}, db: {image: db}}\n",
        "prod.yaml": "services: {web: {image: 'a:1'}}\n",
        "compose.yaml": "services: {old: {image: old}}\n",
        "k8s.yaml": "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: k}]}\n",
    }
    folder = written(tmp_path, files)
    names = ["prod.yaml:1 a:1", "base.yaml:1 db", "k8s.yaml:3 k"]
    monkeypatch.setenv("COMPOSE_FILE", "base.yaml:prod.yaml")
    assert len(listed(folder)) == 5 + 1  # and the note about two images of `web`
    monkeypatch.chdir(folder)
    assert listed(".") == [f"./{name}" for name in names]
    monkeypatch.delenv("COMPOSE_FILE")
    (tmp_path / ".env").write_text("COMPOSE_FILE=base.yaml;prod.yaml\nCOMPOSE_PATH_SEPARATOR=;\n")
    assert listed(folder) == [f"{folder}/{name}" for name in names]
    (tmp_path / ".env").write_text("COMPOSE_FILE=none.yaml\n")
    assert listed(folder)[0] == f"bad {folder}/none.yaml: cannot be read: No such file or directory"
