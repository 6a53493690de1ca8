"""Dockerfiles: what the examples in `data` do not show."""

from __future__ import annotations

import pytest

from puller.imagelist.builds import Build
from puller.imagelist.dockerfile import parse
from tests.unit.imagelist.shown import shown


def dockerfile(text: str) -> list[str]:
    """Read a Dockerfile."""
    return shown(parse(text.encode(), "f"))


def no_value(where: str, name: str, image: str = "") -> str:
    """Return the error for `FROM $NAME`, or for another image with this variable."""
    fix = f"set it with --build-arg {name}=VALUE, or write a default before FROM (ARG {name}=VALUE)"
    return f'bad {where}: no value for {name}: {fix}: "{image or f"${name}"}"'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM nginx", ["f:1 nginx"]),
        ("from\tnginx\n", ["f:1 nginx"]),
        ("\n\n  FROM   nginx   as   web  \n", ["f:3 nginx"]),
        ("FROM nginx AS web\nFROM WEB\n", ["f:1 nginx"]),
        ("FROM web\nFROM nginx AS web\n", ["f:1 web", "f:2 nginx"]),
        ("FROM scratch\nFROM a", ["f:2 a"]),
        ("FROM a\nCOPY --from=1 x y\n", ["f:1 a", "f:2 1"]),
        ("FROM a\nCOPY --from=a x y\n", ["f:1 a", "f:2 a"]),
        ("FROM a\nADD --from=b x y\n", ["f:1 a"]),
        ("FROM a\nCOPY --link --from='b:1' x y\n", ["f:1 a", "f:2 b:1"]),
        ("FROM a\nCOPY x --from=b y\n", ["f:1 a"]),
        ("FROM a\nRUN --network=none --mount=type=bind,from=b,target=/b echo --mount=from=c\n", ["f:1 a", "f:2 b"]),
        ("FROM a\nRUN --mount=from=b --mount=type=cache,from=c,target=/c x\n", ["f:1 a", "f:2 b", "f:2 c"]),
        ("FROM a AS b\nRUN --mount=type=bind,from=b x\n", ["f:1 a"]),
        ("FROM a \\\n\n# comment\n  AS b\nFROM b\n", ["f:1 a"]),
        ("FROM a\nRUN x \\  \n  FROM b\nFROM c", ["f:1 a", "f:4 c"]),
        ("# escape=`\n# a comment\nFROM a`\nb\n", ["f:3 ab"]),
        ("# a comment\n# escape=`\nFROM a\\\nb\n", ["f:3 ab"]),
        ("FROM a\nRUN <<EOF bash\nFROM b\nEOF\nFROM c\n", ["f:1 a", "f:5 c"]),
        ("FROM a\nRUN <<'E1' cat && <<E2 cat\nFROM b\nE1\nFROM c\nE2\nFROM d\n", ["f:1 a", "f:7 d"]),
        ("FROM a\nRUN x <<EOF\nFROM b\n EOF\n", ["f:1 a", "f:3 b"]),
        ("ARG A=x\nARG B=${A}y\nFROM $B\nFROM $A$B", ["f:3 xy", "f:4 xxy"]),
        ("ARG A\nFROM ${A:-b}", ["f:2 b"]),
        ("ARG A=\"b\" C='d'\nFROM $A:$C", ["f:2 b:d"]),
        ("ARG TARGETPLATFORM=linux/arm64\nFROM --platform=$TARGETPLATFORM a", ["f:2 a"]),
        ("ARG P=linux/arm64\nFROM --platform=$P a", ["f:2 linux/arm64 a"]),
        ("FROM a AS x-arm64\nFROM x-$TARGETARCH", ["f:1 a"]),
        ("FROM --platform=arm a", ["bad f:1: 'arm' is not a platform such as linux/amd64 or linux/arm/v7: \"a\""]),
        ("FROM", ['bad f:1: expected FROM [--platform=…] IMAGE [AS NAME]: "FROM"']),
        ("FROM a b", ['bad f:1: expected FROM [--platform=…] IMAGE [AS NAME]: "FROM a b"']),
        (
            "FROM $A",
            [no_value("f:1", "A")],
        ),
        ("ARG A\nFROM b:1$A", ["note f:2: b:1$A: no value for A: replaced by an empty string", "f:2 b:1"]),
        ("ARG A\nFROM b:1-$A", [no_value("f:2", "A", "b:1-$A")]),
        ("FROM ${A", ['bad f:1: a variable without its closing brace: ${A: "${A"']),
        (
            "FROM a\nARG B=c\nFROM $B",
            [
                "f:1 a",
                no_value("f:3", "B"),
            ],
        ),
        ("", ["bad f:1: not a Dockerfile: it has no FROM"]),
        ("RUN x", ["bad f:1: not a Dockerfile: it has no FROM"]),
        ("# x=y\n# syntax=d/f:1\nFROM a", ["note f:2: d/f:1: the frontend, which BuildKit pulls itself", "f:3 a"]),
        ("FROM a\n# syntax=d/f:1\n", ["f:1 a"]),
        ("FROM a\0b", ["bad f:1: binary data, not a Dockerfile"]),
    ],
)
def test_what_a_dockerfile_starts_from(text: str, found: list[str]) -> None:
    """Images, and nothing that is a stage, a comment or a document."""
    assert dockerfile(text) == found


def test_it_is_text() -> None:
    """Bytes that are no UTF-8 are a bad line."""
    assert shown(parse(b"FROM a\n\xff\n", "f")) == ["bad f:2: not valid UTF-8"]


def test_arguments_of_the_build() -> None:
    """They have the values that are given, before defaults; one that the file does not declare has none."""
    text = b"ARG A\nARG B=b:old\nFROM $A\nFROM $B\nFROM $C\n"
    assert shown(parse(text, "f", Build({"A": "a:1", "B": "b:new", "C": "c"}, {}))) == [
        "f:3 a:1",
        "f:4 b:new",
        no_value("f:5", "C"),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM scratch\nCOPY a /a", ["note f:1: starts from scratch, nothing to pull"]),
        ("ARG A\nFROM SCRATCH AS x\nFROM x", ["note f:2: starts from scratch, nothing to pull"]),
        ("FROM scratch\nCOPY --from=a /a /a", ["f:2 a"]),
        ("{{ template }}\nFROM a", ["bad f:1: an unrendered template: render it first"]),
        ("FROM a:%%VERSION%%", ["bad f:1: an unrendered template: render it first"]),
        ("FROM a\nRUN docker inspect --format '{{ .Id }}'", ["f:1 a"]),
    ],
)
def test_nothing_to_pull_and_templates(text: str, found: list[str]) -> None:
    """A Dockerfile without images is one still; a template is none yet."""
    assert dockerfile(text) == found
