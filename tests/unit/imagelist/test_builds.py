"""Dockerfiles that a Compose file builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.imagelist.shown import listed

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

COMPOSE = """
services:
  web:
    build: {context: web, args: {BASE: "${BASE_NAME:-a}:1", OTHER: },
      additional_contexts: ["tools=docker-image://t:2", src=../x]}
  old:
    build: {context: ./web/, args: ["BASE=b:1", OTHER]}
  db: {build: db, image: "db:made"}
"""
DOCKERFILE = """
ARG BASE
ARG OTHER=none
FROM $BASE
FROM $OTHER
FROM tools
COPY --from=src / /
FROM db:made
"""


def test_arguments_and_contexts_of_compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of every service that builds the Dockerfile count; --build-arg counts more."""
    (tmp_path / "web").mkdir()
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "web" / "Dockerfile").write_text(DOCKERFILE)
    monkeypatch.setenv("OTHER", "o:1")
    monkeypatch.chdir(tmp_path)
    made = "note web/Dockerfile:8: db:made: a service of the Compose file builds it, nothing to pull"
    context = "note web/Dockerfile:7: src: an additional context of service web in compose.yaml, nothing to pull"
    read = "note web/Dockerfile: read with the build settings of service %s in compose.yaml"
    assert listed("web/Dockerfile") == [
        read % "web",
        "web/Dockerfile:4 a:1", "web/Dockerfile:5 o:1", "web/Dockerfile:6 t:2", context, made,
        read % "old",
        "web/Dockerfile:4 b:1", "web/Dockerfile:6 tools", "web/Dockerfile:7 src",
    ]  # fmt: skip
    assert listed(str(tmp_path), list_format="dockerfile")[1] == f"{tmp_path}/web/Dockerfile:4 a:1"
    given = {"BASE": "c:1", "OTHER": "d:1"}
    assert listed("web/Dockerfile", build_args=given)[1:3] == ["web/Dockerfile:4 c:1", "web/Dockerfile:5 d:1"]


def test_only_the_directories_that_were_named_have_a_say(tmp_path: Path) -> None:
    """A Compose file above them may belong to somebody else; a broken one, or one of other builds, says nothing."""
    (tmp_path / "web").mkdir()
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "web" / "Dockerfile").write_text("ARG BASE=x\nFROM $BASE\n")
    assert listed(f"{tmp_path}/web", list_format="dockerfile") == [f"{tmp_path}/web/Dockerfile:2 x"]
    assert listed(f"{tmp_path}/web/Dockerfile") == [f"{tmp_path}/web/Dockerfile:2 x"]
    (tmp_path / "Dockerfile").write_text("ARG BASE=x\nFROM $BASE\n")
    assert listed(f"{tmp_path}/Dockerfile") == [f"{tmp_path}/Dockerfile:2 x"]
    (tmp_path / "compose.yaml").write_text("services: {web: {build: ${x")
    assert listed(f"{tmp_path}/Dockerfile") == [f"{tmp_path}/Dockerfile:2 x"]
