"""Compose files: what the examples in `data` do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
        ("services: {a: {image: a}}\n---\nservices: {a: {image: b}}", "f.yml:3: a second document"),
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
    needed = f"the override file docker-compose.override.yaml {NEEDED}"
    assert listed("compose.yml") == [f"bad compose.yml: {needed}"]
    assert listed("other.yml") == ["other.yml:1 a"]
    assert listed(".") == [f"bad ./compose.yml: {needed}", "./other.yml:1 a"]


def test_a_profile_is_plain_text(here: Path) -> None:
    """Anything else is a bad line."""
    (here / "f.yml").write_text("services: {a: {image: a, profiles: [['x']]}}")
    assert listed("f.yml") == ["bad f.yml:1: expected plain text"]


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
