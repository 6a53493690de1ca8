"""Compose files: what the examples in `data` do not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.imagelist.shown import listed, structured

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


def test_an_override_file_is_read_beside_a_default_name_only(here: Path) -> None:
    """Compose looks for it only when it looks for the file itself."""
    (here / "compose.yml").write_text("services: {a: {image: a}}")
    (here / "other.yml").write_text("services: {a: {image: a}}")
    (here / "docker-compose.override.yaml").write_text(
        "services:\n  a: {image: !reset null, build: .}\n  b: {image: b}"
    )
    assert listed("compose.yml") == [
        "note docker-compose.override.yaml:2: service a: only build:, nothing to pull",
        "docker-compose.override.yaml:3 b",
    ]
    assert listed("other.yml") == ["other.yml:1 a"]


def test_a_directory_reads_an_override_file_once(here: Path) -> None:
    """It belongs to the file beside it."""
    (here / "compose.yml").write_text("services: {a: {image: a:1}}")
    (here / "compose.override.yml").write_text("services: {a: {image: a:2}}")
    assert listed(".") == ["./compose.override.yml:1 a:2"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("services: {a: {extends: a, image: x}}", "bad f.yml:1: extends itself"),
        ("services: {a: {extends: {file: f.yml, service: a}}}", "bad f.yml:1: extends itself"),
        ("services: {a: {extends: {}}}", "bad f.yml:1: extends nothing"),
        ("services: {a: {extends: b}}", 'bad f.yml:1: f.yml has no such service: "b"'),
        ("services: {a: {extends: {file: no.yml, service: b}}}", "bad f.yml:1: no.yml: cannot be read: No such file"),
        ("include: [f.yml]", "bad f.yml:1: includes itself, or"),
        ("include: [g.yml]", "bad f.yml:1: g.yml: cannot be read: No such file or directory"),
        ("include: ['oci://x/y']", 'bad f.yml:1: include: fetch it first, only local files are read: "oci://x/y"'),
        ("include: [{path: '${NO:?where}'}]", "bad f.yml:1: the variable NO is required: where"),
        ("include: [{}]", "bad f.yml:1: include: expected the path of a file"),
        ("services: {a: {image: a, profiles: [['x']]}}", "bad f.yml:1: expected plain text"),
    ],
)
def test_what_cannot_be_put_together_says_where(here: Path, text: str, found: str) -> None:
    """One line for each, and no endless loop."""
    (here / "f.yml").write_text(text)
    assert listed("f.yml", kind="compose")[0].startswith(found)


def test_long_chains_end(here: Path) -> None:
    """Hundreds of services that extend each other are refused, not followed until the stack is full."""
    services = "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(3_000))
    (here / "f.yml").write_text(f"services:\n{services}  s3000: {{image: a}}\n")
    found = listed("f.yml")
    assert found[0] == 'bad f.yml:53: extends more than 50 others: "s51"'
    assert found[-1] == "f.yml:3002 a"


def test_long_rows_of_includes_end(here: Path) -> None:
    """As for files that include each other."""
    for number in range(200):
        (here / f"f{number}.yml").write_text(f"include: [f{number + 1}.yml]\n")
    assert listed("f0.yml") == ['bad f50.yml:1: includes itself, or far too many others: "f51.yml"']


def test_files_of_one_name_in_folders_of_one_name(here: Path) -> None:
    """Only the same file is a circle."""
    for folder in (".", "x", "x/x"):
        (here / folder).mkdir(exist_ok=True)
        (here / folder / "f.yml").write_text("include: [x/f.yml]\n" if folder != "x/x" else "services: {a: {image: a}}")
    assert listed("f.yml") == ["x/x/f.yml:1 a"]


def test_a_file_from_elsewhere_names_no_file_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no folder reads nothing beside it, and gets no variable of ours."""
    monkeypatch.setenv("TOKEN", "secret")
    assert structured("include: [/etc/passwd]\nservices: {a: {image: 'x:${TOKEN:-none}'}}", "compose") == [
        'bad f:1: include: a list from a URL cannot name other files: "/etc/passwd"',
        "f:2 x:none",
    ]
    assert "cannot name other files" in structured("services: {a: {extends: {file: b, service: c}}}", "compose")[0]
    assert "cannot name other files" in structured("include: {local: /x.yml}", "gitlab")[0]


@pytest.mark.parametrize("name", ["compose.yaml", "docker-compose.prod.yml", "docker-stack.yml"])
def test_a_name_helps_where_content_says_little(here: Path, name: str) -> None:
    """A part of a project, with nothing to pull, is still a Compose file."""
    (here / name).write_text("services:\n  web:\n    ports: ['80:80']\n")
    assert listed(name) == [f"note {name}:2: service web: neither image: nor build:, nothing to pull"]


def test_an_image_that_comes_to_nothing_is_none() -> None:
    """A default may be empty on purpose: the service is built then."""
    assert structured("services: {a: {build: ., image: '${NO:-}'}}")[-1] == (
        "note f:1: image: comes to nothing, nothing to pull"
    )


def test_extensions_are_no_services() -> None:
    """Keys that begin with `x-` are anybody's at the top; a service may be called so, as compose has it."""
    assert structured("x-a: {image: no}\nservices:\n  x-b: {image: b}\n  c: {image: c}") == ["f:3 b", "f:4 c"]
    assert structured("x-a: {image: no}\nb: {image: b}", name="compose.yaml") == ["compose.yaml:2 b"]


def test_reset_and_override_tags() -> None:
    """`!reset` takes a field out, `!override` replaces what would be appended."""
    base = "services:\n  a: {image: a, profiles: [x]}\n  b: {image: b, profiles: [x]}\n  c: {image: c}\n---\n"
    over = "services:\n  a: {profiles: !reset []}\n  b: {profiles: !override []}\n  c: !reset null\n"
    assert structured(base + over) == ["f:2 a", "f:3 b"]


def test_a_reset_in_the_only_file() -> None:
    """There is nothing to take out yet, and the value beside the tag is no value: `null` is no image."""
    text = "services:\n  a: {image: !reset null, build: .}\n  b: {image: b, profiles: !reset [x]}"
    assert structured(text) == ["note f:2: service a: only build:, nothing to pull", "f:3 b"]
