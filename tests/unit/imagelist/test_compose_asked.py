"""What compose itself answers about a project, laid over our own reading of it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from puller.imagelist.compose_cli import Compose
from tests.unit.imagelist.shown import listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEXT = """services:
  web:
    image: web:${NO:-1}
    platform: linux/amd64
  db:
    image: db${NOTHING}
  built:
    build: .
  extra:
    image: extra
    profiles: [x]
"""
SAME = {"web": {"image": "web:1", "platform": "linux/amd64"}, "db": {"image": "db"}, "built": {"build": {}}}
OURS = [
    "compose.yaml:3 linux/amd64 web:1",
    "note compose.yaml:6: no value for NOTHING: replaced by an empty string",
    "compose.yaml:6 db",
    "note compose.yaml:7: service built: only build:, nothing to pull",
    "note compose.yaml:9: service extra (--profile x): left out, its profile is not active",
]


class Fake(Compose):
    """Answers with these services, text or complaint, and remembers what it was asked.

    `raw` is the answer without the variables filled in.
    """

    def __init__(
        self, answer: dict[str, Any] | str | ValueError | None, raw: dict[str, Any] | ValueError | None = None
    ) -> None:
        super().__init__()
        self.raw = json.dumps({"services": raw}) if isinstance(raw, dict) else raw
        self.answer = json.dumps({"services": answer}) if isinstance(answer, dict) else answer
        self.asked: list[tuple[list[str], tuple[str, ...]]] = []

    def __call__(self, files: Sequence[Path], profiles: Sequence[str], *, interpolate: bool = True) -> str | None:
        """Answer."""
        self.asked.append(([str(file) for file in files], tuple(profiles)))
        answer = self.answer if interpolate else self.raw
        if isinstance(answer, ValueError):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPOSE_PROFILES", raising=False)
    (tmp_path / "compose.yaml").write_text(TEXT)


@pytest.mark.parametrize("answer", [SAME, None])
def test_an_answer_that_says_the_same_changes_nothing(answer: dict[str, Any] | None) -> None:
    """The lines and notes are ours, and so is everything where there is no compose."""
    assert listed("compose.yaml", ask=Fake(answer)) == OURS


def test_its_answer_decides_and_the_lines_stay() -> None:
    """Another image, another platform, a service more and one less: compose knows better, we know where."""
    answer = {
        "web": {"image": "web:2", "platform": "linux/arm64"},
        "built": {"image": "made:$$x", "build": {}},
        "extra": {"image": "extra", "profiles": ["x"], "volumes": [{"type": "image", "source": "data"}]},
        "other": {"image": "other", "pull_policy": "never"},
        "more": {"image": "more"},
    }
    assert listed("compose.yaml", ask=Fake(answer)) == [
        "compose.yaml:3 linux/arm64 web:2",
        "note compose.yaml:6: service db: left out, as docker compose leaves it out",
        "note compose.yaml:7: service built: has build: as well; the image is pulled",
        'bad compose.yaml:7: invalid reference format: "made:$x"',
        "compose.yaml:10 extra",
        "compose.yaml:9 data",
        "note compose.yaml:1: service other: pull_policy: never, nothing to pull",
        "compose.yaml:1 more",
    ]


def test_it_may_read_what_we_cannot() -> None:
    """A value that we cannot fill in is none of ours when compose has filled it in."""
    with open("compose.yaml", "w", encoding="utf-8") as file:  # noqa: PTH123 - of the working folder
        file.write("services:\n  a:\n    image: a:${NEW~syntax}\n")
    assert listed("compose.yaml", ask=Fake(None))[0].startswith("bad compose.yaml:3: not a variable")
    assert listed("compose.yaml", ask=Fake({"a": {"image": "a:1"}})) == ["compose.yaml:3 a:1"]


@pytest.mark.parametrize("answer", ["", "{", "[]", "{}", "null", "what?\n"])
def test_an_answer_that_is_none_is_said(answer: str) -> None:
    """Our own reading goes on alone."""
    said = "note compose.yaml: read without docker compose: docker compose did not print a project"
    assert listed("compose.yaml", ask=Fake(answer)) == [said, *OURS]


def test_a_refusal_that_concerns_no_image_is_a_note() -> None:
    """A secret that is not set here keeps nobody from pulling; it is said in compose's words."""
    found = listed("compose.yaml", ask=Fake(ValueError("docker compose reports an error: PASSWORD is missing")))
    said = "note compose.yaml: read without docker compose: docker compose reports an error: PASSWORD is missing"
    assert found == [said, *OURS]


def test_a_refusal_for_what_we_have_found_is_said_once(tmp_path: Path) -> None:
    """Our complaint has the line."""
    (tmp_path / "f.yaml").write_text("services:\n  a: {image: 'a:${TAG:?set it}'}\n")
    complaint = Fake(ValueError("docker compose reports an error: required variable TAG is missing a value: set it"))
    assert listed("f.yaml", ask=complaint) == ['bad f.yaml:2: the variable TAG is required: set it: "a:${TAG:?set it}"']


def test_a_refusal_is_an_error_where_nothing_else_is_known(tmp_path: Path) -> None:
    """A file that we cannot read at all is refused in compose's words."""
    (tmp_path / "f.yaml").write_text("include: [g.yaml]\nservices: {}\n")
    refusal = ValueError("there is no g.yaml")
    assert listed("f.yaml", list_format="compose", ask=Fake(refusal, refusal)) == ["bad f.yaml: there is no g.yaml"]


def test_compose_gets_the_files_and_profiles_that_it_would_take_itself(tmp_path: Path) -> None:
    """An override file beside a default name, none beside another; profiles only when they are asked for."""
    (tmp_path / "compose.override.yml").write_text("services: {b: {image: b}}")
    (tmp_path / "f.yaml").write_text(TEXT)
    fake = Fake(SAME)
    listed("compose.yaml", "f.yaml", ask=fake, profiles=("x", "y"))
    listed("f.yaml", ask=fake)
    assert fake.asked == [
        (["compose.yaml", "compose.override.yml"], ("x", "y")),
        (["f.yaml"], ("x", "y")),
        (["f.yaml"], ()),
    ]


def test_compose_is_asked_about_whole_projects_in_files_only(tmp_path: Path) -> None:
    """Not about a pipe, which is empty by then; not about what is refused anyway; not about a folder's fragments."""
    fake = Fake(SAME)
    assert listed("-", stdin=TEXT, ask=fake) == [line.replace("compose.yaml", "stdin") for line in OURS]
    reader, writer = os.pipe()
    os.write(writer, TEXT.encode())
    os.close(writer)
    pipe = f"/dev/fd/{reader}"
    assert listed(pipe, ask=fake) == [line.replace("compose.yaml", pipe) for line in OURS]
    os.close(reader)
    (tmp_path / "twice.yaml").write_text("services: {a: {image: a, image: b}}")
    assert listed("twice.yaml", ask=fake)[0].startswith("bad twice.yaml:1: duplicate key image (first on line 1)")
    (tmp_path / "k8s.yaml").write_text("apiVersion: v1\nkind: Pod\nspec: {containers: [{image: a}]}")
    assert listed("k8s.yaml", ask=fake) == ["k8s.yaml:3 a"]
    assert fake.asked == []
    (tmp_path / "part.yaml").write_text("services: {a: {ports: ['80:80']}}")
    assert len(listed(".", ask=fake)) > len(OURS)
    assert fake.asked == [(["compose.yaml"], ())]


OVERRIDDEN = [
    "compose.yaml:3 linux/amd64 web:1",
    "compose.override.yml:2 db:2",
    "note compose.yaml:7: service built: only build:, nothing to pull",
    "note compose.yaml:9: service extra (--profile x): left out, its profile is not active",
    "compose.override.yml:3 more",
]


def test_places_in_an_override_file(tmp_path: Path) -> None:
    """What docker compose makes of both files is shown where it is written, in the file that counts."""
    (tmp_path / "compose.override.yml").write_text("services:\n  db: {image: 'db:${V}'}\n  more: {image: more}\n")
    answer = {**SAME, "db": {"image": "db:2"}, "more": {"image": "more"}}
    assert listed("compose.yaml", ask=Fake(answer)) == OVERRIDDEN


def test_services_of_another_file_are_shown_at_the_include(tmp_path: Path) -> None:
    """Which file they are in, docker compose does not say."""
    (tmp_path / "f.yaml").write_text("services:\n  a: {image: a}\ninclude: [g.yaml]\n")
    assert listed("f.yaml", ask=Fake({"a": {"image": "a"}, "b": {"image": "b"}})) == ["f.yaml:2 a", "f.yaml:3 b"]


def test_a_variable_that_concerns_no_image_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are merged by docker compose, and puller fills in the variables of the images."""
    monkeypatch.setenv("V", "2")
    (tmp_path / "f.yaml").write_text("include: [g.yaml]\n")
    raw: dict[str, Any] = {
        "a": {"image": "a:${V}", "environment": {"P": "${PASSWORD:?is missing}"}, "mem_limit": 5},
        "b": {"image": "b", "profiles": ["x"]},
    }
    refusal = ValueError("docker compose reports an error: PASSWORD is missing")
    assert listed("f.yaml", ask=Fake(refusal, raw)) == [
        f"note f.yaml: variables expanded without docker compose: {refusal}",
        "f.yaml:1 a:2",
        "note f.yaml:1: service b (--profile x): left out, its profile is not active",
    ]
    raw["a"]["image"] = "a:${NO:?which}"
    assert listed("f.yaml", ask=Fake(refusal, raw))[0] == (
        'bad f.yaml:1: the variable NO is required: which: "a:${NO:?which}"'
    )


def test_a_refusal_of_what_we_cannot_read_is_an_error(tmp_path: Path) -> None:
    """In the words of docker compose."""
    (tmp_path / "f.yaml").write_text("services: {a: {image: a, extends: b}}\n")
    refusal = ValueError("docker compose reports an error: there is no b")
    assert listed("f.yaml", ask=Fake(refusal, refusal)) == [f"bad f.yaml: {refusal}"]
    assert listed(".", ask=Fake(refusal, refusal))[-1] == f"bad ./f.yaml: {refusal}"


@pytest.mark.parametrize(
    "text",
    [
        "include: [fifo]\nservices: {web: {image: a}}\n",
        "include: [{path: fifo}]\nservices: {web: {image: a}}\n",
        "include: [{path: [other.yaml, fifo]}]\nservices: {web: {image: a}}\n",
        "services: {web: {extends: {file: fifo, service: x}}}\n",
    ],
)
def test_a_fifo_in_a_project_is_refused_before_docker_compose_reads_it(tmp_path: Path, text: str) -> None:
    """It would wait for a writer."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "compose.yaml").write_text(text)
    fake = Fake(SAME)
    assert any("fifo: not a regular file" in line for line in listed("compose.yaml", ask=fake))
    assert fake.asked == []
