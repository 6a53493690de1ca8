"""Compose files: what the examples in `data` do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from puller.imagelist import Entry, read
from puller.imagelist.formats import parse
from puller.imagelist.source import ListSource
from tests.unit.imagelist.shown import listed, structured

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of one's own, with no profiles from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPOSE_PROFILES", raising=False)
    monkeypatch.delenv("TAG", raising=False)
    return tmp_path


PROFILES = "services:\n  a: {image: a}\n  b: {image: b, profiles: [x]}\n  c: {image: c, profiles: [y, z]}\n"


@pytest.mark.parametrize(
    ("profiles", "environment", "images"),
    [
        ((), "", "a"),
        (("x",), "", "ab"),
        (("x", "z"), "", "abc"),
        (("*",), "", "abc"),
        ((), "x,y", "abc"),
        (("x",), "y", "ab"),
    ],
)
def test_profiles(
    here: Path, monkeypatch: pytest.MonkeyPatch, profiles: tuple[str, ...], environment: str, images: str
) -> None:
    """`--profile` may be repeated and replaces COMPOSE_PROFILES; `*` is all of them."""
    (here / "f.yaml").write_text(PROFILES)
    monkeypatch.setenv("COMPOSE_PROFILES", environment)
    found = [line for line in listed("f.yaml", profiles=profiles) if not line.startswith("note")]
    assert [line[-1] for line in found] == list(images)


def test_the_environment_wins_over_dotenv(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in compose: the shell, then `.env` beside the file, then the default."""
    (here / "sub").mkdir()
    (here / "sub" / "x.yml").write_text("services: {a: {image: 'a:${TAG:-default}'}}")
    assert listed("sub/x.yml") == ["sub/x.yml:1 a:default"]
    (here / ".env").write_text("TAG=of-the-working-folder")
    assert listed("sub/x.yml") == ["sub/x.yml:1 a:default"]
    (here / "sub" / ".env").write_text("TAG=dotenv")
    assert listed("sub/x.yml") == ["sub/x.yml:1 a:dotenv"]
    monkeypatch.setenv("TAG", "shell")
    assert listed("sub/x.yml") == ["sub/x.yml:1 a:shell"]


NEEDED = (
    "needs docker compose: install its plugin (package docker-compose-plugin), "
    "or pipe the output of `docker compose config` into puller"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("services:\n  a: {image: a}\n  b: {extends: a}", "f.yml:3: extends"),
        ("services:\n  a: {extends: {file: g.yml, service: a}, image: a}", "f.yml:2: extends"),
        ("include: [g.yml]\nservices: {a: {image: a}}", "f.yml:1: include"),
        ("services: {}\ninclude:\n- path: [g.yml]", "f.yml:2: include"),
    ],
)
def test_what_only_docker_compose_can_read(here: Path, text: str, found: str) -> None:
    """Without the plugin there is one line, which says what to install, and no image that may be wrong."""
    (here / "f.yml").write_text(text)
    assert listed("f.yml") == [f"bad {found} {NEEDED}"]
    assert listed("-", stdin=text) == [f"bad {found.replace('f.yml', 'stdin')} {NEEDED}"]


def test_an_override_file_counts_beside_a_default_name_only(here: Path) -> None:
    """Compose looks for it only when it looks for the file itself; in a directory it belongs to the file beside it."""
    (here / "compose.yml").write_text("services: {a: {image: a}}")
    (here / "other.yml").write_text("services: {a: {image: a}}")
    (here / "docker-compose.override.yaml").write_text("services: {b: {image: b}}")
    both = ["compose.yml:1 a", "docker-compose.override.yaml:1 b"]
    assert listed("compose.yml") == both
    assert listed("other.yml") == ["other.yml:1 a"]
    assert listed(".") == [*(f"./{each}" for each in both), "./other.yml:1 a"]


def test_a_profile_is_plain_text(here: Path) -> None:
    """Anything else is a bad line."""
    (here / "f.yml").write_text("services: {a: {image: a, profiles: [['x']]}}")
    assert listed("f.yml") == ["bad f.yml:1: expected plain text, not a list or a mapping"]


def test_a_file_from_elsewhere_names_no_file_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no folder reads nothing beside it, and gets no variable of ours."""
    monkeypatch.setenv("TOKEN", "secret")
    assert structured("services: {a: {image: 'x:${TOKEN:-none}'}}", "compose") == ["f:1 x:none"]
    assert structured("include: [/etc/passwd]", "compose") == [f"bad f:1: include {NEEDED}"]
    assert "cannot include other files" in structured("include: {local: /x.yml}", "gitlab")[0]


@pytest.mark.parametrize("name", ["compose.yaml", "docker-compose.prod.yml", "docker-stack.yml"])
def test_a_name_helps_where_content_says_little(here: Path, name: str) -> None:
    """A part of a project, with nothing to pull, is still a Compose file."""
    (here / name).write_text("services:\n  web:\n    ports: ['80:80']\n")
    assert listed(name) == [f"note {name}:2: service web: neither image: nor build:, nothing to pull"]


def test_an_image_that_comes_to_nothing_is_none() -> None:
    """A default may be empty on purpose: the service is built then."""
    assert structured("services: {a: {build: ., image: '${NO:-}'}}")[-1] == (
        "note f:1: image: is empty, nothing to pull"
    )


def test_extensions_are_no_services() -> None:
    """Keys that begin with `x-` are anybody's at the top; a service may be called so, as compose has it."""
    assert structured("x-a: {image: no}\nservices:\n  x-b: {image: b}\n  c: {image: c}") == ["f:3 b", "f:4 c"]
    assert structured("x-a: {image: no}\nb: {image: b}", name="compose.yaml") == ["compose.yaml:2 b"]


def test_a_reset_in_the_only_file() -> None:
    """The value beside the tag is no value: `null` is no image."""
    text = "services:\n  a: {image: !reset null, build: .}\n  b: {image: b, profiles: !reset [x]}\n  c: !reset null"
    assert structured(text, "compose") == ["note f:2: service a: only build:, nothing to pull", "f:3 b"]


def test_a_service_alone_is_no_error() -> None:
    """What is left out on purpose is something, although nothing is pulled."""
    assert listed("-", stdin="services: {web: {build: .}}") == [
        "note stdin:1: service web: only build:, nothing to pull"
    ]


def test_files_of_one_project(here: Path) -> None:
    """`a:b` is one project; two files with one service and two images get a hint."""
    (here / "base.yaml").write_text("services: {web: {image: 'a:dev', platform: linux/arm64}, x: {image: x}}\n")
    (here / "prod.yaml").write_text("services: {web: {image: 'a:1'}}\n")
    assert listed("base.yaml:prod.yaml") == ["prod.yaml:1 linux/arm64 a:1", "base.yaml:1 x"]
    said = "has another image in the other file; if they are one project, name them as FILE:FILE"
    assert f"note prod.yaml:1: service web (also in base.yaml): {said}" in listed("base.yaml", "prod.yaml")


HOOKS = """services:
  web:
    image: web
    pre_start: [{image: migrate}, {command: [x]}]
    pull_policy: missing
  built: {build: ., pull_policy: build, pre_start: [{image: tool}]}
  never: {image: never, pull_policy: never, pre_start: [{image: never}]}
"""


def test_images_of_hooks() -> None:
    """They are pulled with the service's policy, also where the service itself is built."""
    assert structured(HOOKS) == [
        "f:3 web",
        "f:4 migrate",
        "note f:6: service built: pull_policy: build, nothing to pull",
        "f:6 tool",
        "note f:7: service never: pull_policy: never, nothing to pull",
    ]
    parsed = parse(HOOKS.encode(), ListSource("f"))
    assert [item.if_missing for item in parsed if isinstance(item, Entry)] == [True, True, False]


def test_services_with_build(here: Path) -> None:
    """An image that comes to nothing is built; the others may be left out."""
    (here / "f.yml").write_text(
        "services:\n  a: {image: '$NONE', build: .}\n  b: {image: b, build: .}\n  c: {image: c}\n"
    )
    empty = "note f.yml:2: no value for NONE: taken as empty; only build:, nothing to pull"
    assert listed("f.yml") == [
        empty,
        "note f.yml:3: service b: has build: as well; the image is pulled",
        "f.yml:3 b",
        "f.yml:4 c",
    ]
    assert listed("f.yml", ignore_buildable=True)[1:] == [
        "note f.yml:3: service b: has build: as well; left out (--ignore-buildable)",
        "f.yml:4 c",
    ]
    assert [item.buildable for item in read(["f.yml"]) if isinstance(item, Entry)] == [True, False]


def test_named_services(here: Path) -> None:
    """Only they count, whatever their profiles; one that no file has is an error."""
    (here / "f.yml").write_text(PROFILES)
    assert listed("f.yml", services=("b",)) == ["f.yml:3 b"]
    assert listed("f.yml", services=("b", "z"))[1:] == [
        'bad --service: no Compose file of the lists has this service: "z"'
    ]


def test_the_platform_of_the_project(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_DEFAULT_PLATFORM of `.env` is for services that name none; in the environment it is for all lists."""
    monkeypatch.delenv("DOCKER_DEFAULT_PLATFORM", raising=False)
    (here / ".env").write_text("DOCKER_DEFAULT_PLATFORM=linux/arm64\n")
    (here / "f.yml").write_text("services:\n  a: {image: a}\n  b: {image: b, platform: linux/amd64}\n")
    assert listed("f.yml") == ["f.yml:2 linux/arm64 a", "f.yml:3 linux/amd64 b"]
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/s390x")
    assert listed("f.yml") == ["f.yml:2 a", "f.yml:3 linux/amd64 b"]


def test_a_file_without_services(here: Path) -> None:
    """The name of a Compose file tells what it is; another one needs services."""
    (here / "compose.yml").write_text("networks: {a: {}}\n")
    assert listed("compose.yml") == ["note compose.yml:1: no services, nothing to pull"]
    assert structured("networks: {a: {}}\n")[0].startswith("bad f:1: unknown list format")
