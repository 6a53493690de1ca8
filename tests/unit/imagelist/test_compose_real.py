"""Our own reading of Compose files against compose itself: the samples, and what is easily read otherwise.

The expected images are written down, so that our reading is held to them where there is no compose, too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from puller.imagelist import Entry, read
from puller.imagelist.compose_cli import Compose
from tests.lab.binaries import compose_plugin
from tests.lab.process import WorldError
from tests.lab.program import Program
from tests.unit.imagelist.shown import listed
from tests.unit.imagelist.test_files import BUILD_TOO, DATA, EXPECTED

if TYPE_CHECKING:
    from pathlib import Path


SAMPLES = (
    "anchors.yml", "profiles.yml", "windows.yml", "odd-indentation.yml", "stack.yml", "rendered.compose.json",
)  # fmt: skip
REFUSED = {
    "variables.yml": "the variable UNSET_J is required",
    "policies.yml": "expected plain text",
    "repeated.yml": "duplicate key",
    "docker-compose.legacy.yml": "read without docker compose: docker compose reports an error: validating ",
}
"""Samples with mistakes: compose names one, we name all; and version 1 of the format, which only we still read."""

WITH_COMPOSE: dict[str, list[str]] = {
    "shop/compose.yaml": [
        f"note shop/compose.yaml:6: service web: {BUILD_TOO}",
        "shop/compose.yaml:6 ghcr.io/acme/shop-web:2.1",
        "shop/compose.yaml:15 registry.example:5000/shop-worker:2.1",
        "shop/compose.yaml:19 postgres:16-alpine",
        "shop/compose.override.yaml:3 valkey/valkey:8",
        "note shop/compose.yaml:28: service assets: only build:, nothing to pull",
        "shop/compose.override.yaml:5 axllent/mailpit",
    ],
    "extends/docker-compose.yml": [
        "extends/docker-compose.yml:3 linux/amd64 example/base:1.0",
        "extends/docker-compose.yml:5 linux/amd64 example/base:1.0",
        "extends/docker-compose.yml:11 linux/amd64 example/jobs:1.0",
        "extends/docker-compose.yml:12 opensearchproject/opensearch:2.15.0",
        "extends/docker-compose.yml:17 fluent/fluent-bit:3.1",
    ],
    "include/compose.yaml": [
        "include/compose.yaml:9 example/app:1",
        "include/compose.yaml:1 mariadb:11.4",
        "include/compose.yaml:1 grafana/grafana:11.1.0",
        "include/compose.yaml:1 prom/prometheus:v2.53.0",
    ],
    "several-documents.yml": ["several-documents.yml:9 nginx:1.27"],
}
"""Samples of several files and documents; docker compose reads them all."""
ONLY_COMPOSE = ("extends", "include")
"""Projects that only docker compose can read."""

DOTENV = ("plain", "exported", "single", "doubleplain", "plain-x", "a", "yaml", "spaced", "x", "unset", "default")
PROJECTS: dict[str, tuple[dict[str, str], list[str]]] = {
    "variables": (
        {
            "compose.yaml": """services:
  a: {image: "a:${U:-x}${U-y}${S:+p}${S+q}"}
  b: {image: "b:${EMPTY:-d}${EMPTY-e}${EMPTY:+f}${EMPTY+g}"}
  c: {image: "c:${U:-${V:-${W:-deep}}}$S"}
  d: {image: "${U:-reg.io:5000}/d:${S:?no}"}
  e: {image: " e:1 ", platform: "${U:-}"}
"""
        },
        ["a:xypq", "b:dg", "c:deepset", "reg.io:5000/d:set", "e:1"],
    ),
    "the .env file": (
        {
            "compose.yaml": "services:\n"
            + "".join(f'  s{name.lower()}: {{image: "x:${{{name}:-unset}}"}}\n' for name in "ABCDEFGHIJK"),
            ".env": "A=plain\nexport B=exported\nC='single'\nD=\"double$A\"\nE=${A}-x\nF=a #b\nG: yaml\nH = spaced\n"
            'I="x" # c\nJ=\nK=${NO:-default}\n',
        },
        [f"x:{tag}" for tag in DOTENV],
    ),
    "the name of the project": (
        {"compose.yaml": 'name: "my-${S}"\nservices: {a: {image: "a:${COMPOSE_PROJECT_NAME}"}}'},
        ["a:my-set"],
    ),
    "profiles from .env": (
        {
            "compose.yaml": "services:\n  a: {image: a, profiles: [p]}\n  b: {image: b, profiles: [q]}\n"
            '  c: {image: c, profiles: ["${P:-x}"]}\n',
            ".env": 'COMPOSE_PROFILES="p, q"\n',
        },
        ["a", "b"],
    ),
    "extends": (
        {
            "compose.yaml": """services:
  base: {image: "base:1", platform: linux/arm64, pull_policy: never}
  a: {extends: base, profiles: [p]}
  b: {extends: {service: base}, image: "b:2", pull_policy: always, platform: null}
  c: {extends: {file: "${U:-sub}/x.yaml", service: c}, platform: linux/amd64}
""",
            ".env": "V=top",
            "sub/x.yaml": "services: {c: {extends: {file: y/z.yaml, service: z}}}",
            "sub/y/z.yaml": 'services: {z: {image: "z:${V:-none}"}}',
            "sub/.env": "V=sub",
        },
        ["linux/arm64 b:2", "linux/amd64 z:top"],
    ),
    "include": (
        {
            "compose.yaml": """include:
  - one/x.yaml
  - {path: two/x.yaml, project_directory: .}
  - {path: [three/x.yaml, three/y.yaml], env_file: [three/a.env, three/b.env]}
services: {}
""",
            ".env": "V=top",
            "one/x.yaml": 'services: {a: {image: "a:${V}${W:-none}"}}',
            "one/.env": "V=one\nW=w",
            "two/x.yaml": 'services: {b: {image: "b:${V}${W:-none}"}}',
            "two/.env": "W=two",
            "three/x.yaml": "services: {c: {image: c, platform: linux/arm64}}",
            "three/y.yaml": 'services: {c: {image: "c:${V}${W}${X}"}}',
            "three/a.env": "W=a\nX=a",
            "three/b.env": "W=b",
        },
        ["a:topw", "b:topnone", "linux/arm64 c:topba"],
    ),
    "an override file": (
        {
            "docker-compose.yaml": """services:
  a: {image: a, profiles: [x], platform: linux/arm64}
  b: {image: b}
  c: {image: c, profiles: [x]}
  d: {image: d, build: .}
  e: {image: e, platform: linux/arm64}
  f: {image: f, volumes: [{type: image, source: "v:1", target: /v}, {type: image, source: "w:1", target: /w}]}
""",
            "compose.override.yml": """services:
  a: {profiles: !reset [], platform: !reset null}
  b: !reset null
  c: !override {image: c2}
  d: {image: !reset null}
  e: {image: null, platform: }
  f: {volumes: [{type: image, source: "v:2", target: /v}, "/x:/w"]}
""",
            "docker-compose.override.yml": "services: {a: {image: never}}",
        },
        ["a", "c2", "linux/arm64 e", "f", "v:2"],
    ),
    "policies": (
        {
            "compose.yaml": "services:\n"
            + "".join(f"  {each}: {{image: {each}, pull_policy: {each}}}\n" for each in ("always", "never", "missing"))
            + '  built: {image: built, pull_policy: "${P:-build}", build: .}\n  x-y: {image: x-y, scale: 0}\n'
        },
        ["always", "missing", "x-y"],
    ),
}


@pytest.fixture(scope="module")
def plugin() -> Path:
    """Take the plugin of another Debian suite."""
    try:
        return compose_plugin()
    except WorldError as error:
        pytest.skip(f"docker compose cannot be had: {error}")


@pytest.fixture
def ask(plugin: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """Ask that plugin, however slow this machine is."""
    plugins = tmp_path_factory.mktemp("docker") / "cli-plugins"
    plugins.mkdir()
    (plugins / "docker-compose").symlink_to(plugin)
    monkeypatch.setenv("DOCKER_CONFIG", str(plugins.parent))
    return Compose(seconds=100)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TAG", "REGISTRY", "POSTGRES_VERSION", "POSTGRES_PASSWORD", "DOCKER_REGISTRY", "COMPOSE_PROFILES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("S", "set")
    monkeypatch.setenv("SET", "yes")
    monkeypatch.setenv("EMPTY", "")


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, list[str]]:
    """Write the files of a project; give the path of the first, and what it means."""
    files, images = PROJECTS[request.param]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return str(tmp_path / next(iter(files))), images


def meaning(path: str, ask: Compose | None) -> list[str]:
    """List images with their platforms, and whatever is no image as it is said."""
    return [
        f"{item.platform or ''} {item.reference.text}".strip() if isinstance(item, Entry) else str(item)
        for item in read([path], ask_compose=ask)
    ]


def images(path: str, ask: Compose | None) -> list[str]:
    """Leave out what is said."""
    return [line for line in meaning(path, ask) if ": " not in line]


def test_we_read_it_as_it_is_meant(project: tuple[str, list[str]]) -> None:
    """Where docker compose is not installed; what only it can read is one line about it."""
    path, expected = project
    found = meaning(path, None)
    if expected in [PROJECTS[name][1] for name in ONLY_COMPOSE]:
        assert len(found) == 1
        assert "needs docker compose: install its plugin" in found[0]
    else:
        assert images(path, None) == expected


def test_compose_reads_it_as_we_do(project: tuple[str, list[str]], ask: Compose) -> None:
    """The expectations are not ours alone, and its answer changes nothing in what we can read ourselves."""
    path, expected = project
    assert sorted(images(path, ask)) == sorted(expected)
    if expected not in [PROJECTS[name][1] for name in ONLY_COMPOSE]:
        assert meaning(path, ask) == meaning(path, None)


@pytest.mark.parametrize("sample", WITH_COMPOSE)
def test_projects_of_several_files(sample: str, ask: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its images, in the places where we find them written."""
    monkeypatch.chdir(DATA)
    assert listed(sample, ask=ask) == WITH_COMPOSE[sample]


def test_compose_merges_what_it_cannot_fill_in(ask: Compose, tmp_path: Path) -> None:
    """A password that is missing here does not matter for the images of a project of several files."""
    (tmp_path / "compose.yaml").write_text(
        "services:\n  a: {image: 'a:${S}', environment: ['P=${PASSWORD:?is secret}']}\n  b: {image: b}\n"
        "include: [more.yaml]\n"
    )
    (tmp_path / "more.yaml").write_text("services: {}\n")
    (tmp_path / "compose.override.yaml").write_text("services:\n  b: {image: 'b:2-${S}'}\n")
    found = listed(str(tmp_path / "compose.yaml"), ask=ask)
    assert "variables expanded without docker compose: docker compose reports an error: " in found[0]
    assert found[1] == f"{tmp_path}/compose.yaml:2 a:set"
    assert found[2] == f"{tmp_path}/compose.override.yaml:2 b:2-set"


@pytest.mark.parametrize("sample", SAMPLES)
def test_compose_reads_the_samples_as_we_do(sample: str, ask: Compose) -> None:
    """Line by line, notes included."""
    path = str(DATA / sample)
    assert meaning(path, ask) == meaning(path, None)
    assert len(images(path, ask)) == sum(not line.startswith(("note", "bad")) for line in EXPECTED[sample])


@pytest.mark.parametrize("sample", REFUSED)
def test_compose_refuses_what_we_complain_of(sample: str, ask: Compose) -> None:
    """The mistakes are ours to tell, with their lines; what only compose minds is a note."""
    path = str(DATA / sample)
    with_compose, alone = meaning(path, ask), meaning(path, None)
    assert REFUSED[sample] in " ".join(with_compose)
    assert [line for line in with_compose if "read without docker compose" not in line] == alone


def test_the_program_asks_the_plugin(plugin: Path, tmp_path: Path) -> None:
    """`puller list` finds the plugin by itself, and says in its words what it minds."""
    (tmp_path / "cli-plugins").mkdir()
    (tmp_path / "cli-plugins" / "docker-compose").symlink_to(plugin)
    (tmp_path / "compose.yaml").write_text(
        "services:\n  a:\n    image: a\n    environment: ['P=${PASSWORD:?is secret}']\n"
    )
    program = Program(tmp_path, {"DOCKER_CONFIG": str(tmp_path)})
    done = program.run("list", "compose.yaml", "--format", "json")
    assert (done.code, [image["sources"] for image in json.loads(done.stdout)["images"]]) == (0, [["compose.yaml:3"]])
    assert done.stderr.startswith("compose.yaml: read without docker compose: docker compose reports an error: ")
    assert "PASSWORD" in done.stderr
    assert "is secret" in done.stderr
    quiet = program.run("list", "compose.yaml", environment={"PASSWORD": "x"})
    assert (quiet.stdout, quiet.stderr) == ("docker.io/library/a:latest\n", "")
