"""What a list is taken for, by its first line that says something and its name."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given, strategies as st

from puller.imagelist import FORMATS, detect
from tests.unit.imagelist.shown import listed


@pytest.mark.parametrize(
    ("text", "name", "shape"),
    [
        ("nginx:1.27", "images.txt", "text"),
        ("# services:\n\nnginx", "stdin", "text"),
        ("nginx:1.27", "images.yaml", "text"),
        ("--platform=linux/arm64 nginx", "images.yml", "text"),
        ("localhost:5000/x", "stdin", "text"),
        ("[::1]:5000/x", "stdin", "text"),
        ("x@sha256:00", "stdin", "text"),
        ("nginx # a: b", "stdin", "text"),
        ("a b", "stdin", "text"),
        ("", "stdin", "text"),
        ("# only\n# comments", "compose.yaml", "text"),
        ("services:", "stdin", None),
        ("\ufeffservices:", "stdin", None),
        ("build job: x", "stdin", None),
        ('"on": push', "stdin", None),
        ("---", "stdin", None),
        ("--- # first", "stdin", None),
        ("%YAML 1.2", "stdin", None),
        ("- nginx", "stdin", None),
        ("{", "stdin", None),
        ('["nginx"]', "stdin", None),
        ("[", "stdin", None),
        ("{{- if .Values.x }}", "stdin", None),
        ("&x a", "x.yaml", None),
        ("FROM nginx", "stdin", "dockerfile"),
        ("# syntax=docker/dockerfile:1\n\narg A=1", "stdin", "dockerfile"),
        ("from nginx", "x", "dockerfile"),
        ("FROM nginx", "Dockerfile", "dockerfile"),
        ("nginx", "app.Dockerfile", "dockerfile"),
        ("nginx", "Dockerfile.dev", "dockerfile"),
        ("nginx", "Containerfile", "dockerfile"),
        ("nginx", "dockerfiles.txt", "text"),
        ("fromage", "stdin", "text"),
    ],
)
def test_what_a_list_is_taken_for(text: str, name: str, shape: str | None) -> None:
    """Content first; a name decides only where content could be either."""
    stream = io.BytesIO(text.encode())
    found, seen = detect(stream, name)
    assert found == shape
    assert seen + stream.read() == text.encode()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("- name: x", "one image reference per line"),
        ("image: x", "one image reference per line"),
        ("nginx:", "invalid reference format"),
        ("{", "invalid reference format"),
        ("[", "invalid reference format"),
        ("---", "unknown option; only --platform=OS/ARCH is allowed, before the image"),
        ("{{ .Values.image }}", "contains a variable: fill it in first (envsubst)"),
    ],
)
def test_one_line_of_yaml_spoils_no_text_list(line: str, why: str) -> None:
    """The line is bad, wherever it is, and the images of the others are read."""
    bad = f'{why}: "{line}"'
    assert listed("-", stdin=f"{line}\nnginx:1.27\nredis\n") == [
        f"bad stdin:1: {bad}", "stdin:2 nginx:1.27", "stdin:3 redis"
    ]  # fmt: skip
    assert listed("-", stdin=f"nginx:1.27\n{line}\n") == ["stdin:1 nginx:1.27", f"bad stdin:2: {bad}"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("services:\n  web:\n    image: nginx\n  db\n    image: redis\nversion:3\n", 5),
        ("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n - image: nginx:1\n", 5),
        ("services: {web: {image: nginx}\n", 2),
        ("- nginx:1.27\nredis:7\n- mariadb:11\n", 3),
        ('[\n"nginx:1.27",\n"redis:7"\n', 4),
    ],
)
def test_a_broken_file_is_no_text_list(text: str, line: int) -> None:
    """Neither Compose nor Kubernetes nor an array: there is one error, with the line of the YAML parser."""
    (found,) = listed("-", stdin=text)
    assert found.startswith(f"bad stdin:{line}: not valid YAML: ")


def test_a_pipe_that_writes_line_by_line_is_waited_for() -> None:
    """A comment that arrives first does not make a Compose file a text list."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as source, os.fdopen(reader, "rb") as stream:
        source.write(b"# by hand\n")
        pid = os.fork()
        if pid == 0:
            source.write(b"services:\n  a: {image: nginx}\n")
            os._exit(0)
        source.close()
        assert detect(stream, "stdin")[0] is None
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nginx: 1.27\n", "bad stdin:1: unknown list format: expected Compose, Kubernetes"),
        ("services: [\n", "bad stdin:2: not valid YAML: "),
        ("just text here\n", 'bad stdin:1: one image reference per line: "just text here"'),
        ("- a\n- {name: b}\n", "stdin:1 a"),
    ],
)
def test_what_is_of_no_kind_is_told_in_one_line(text: str, found: str) -> None:
    """The line says what was expected."""
    assert listed("-", stdin=text)[0].startswith(found)


@pytest.mark.parametrize("list_format", FORMATS)
def test_a_format_that_is_given_is_not_guessed(list_format: str) -> None:
    """Data of another kind is a bad line or nothing at all, and never an image by accident."""
    assert not [line for line in listed("-", list_format=list_format, stdin="a: b\n") if line.startswith("stdin")]
    assert listed("-", list_format=list_format, stdin="")[-1].startswith(
        ("error stdin: contains no image", "bad stdin:1: not ")
    )


@given(st.sampled_from(FORMATS) | st.none(), st.binary() | st.text().map(str.encode))
def test_no_bytes_raise_anything_but_a_list_error(list_format: str | None, data: bytes) -> None:
    """Every kind gets through any data with images, bad lines, notes, or one error."""
    assert listed("-", list_format=list_format, stdin=data)


SNIPPETS = """
services: image: build: extends: include: jobs: on: container: matrix: ${{ $X ${X:-y} - [ ] { } &a *a <<: ? | > ---
apiVersion: kind: List spec: containers: FROM AS ARG COPY --from= RUN --mount=from= <<EOF \\ # ' " nginx:1 .x: script:
!reference default: variables: images: images-by-semver: runs: using: profiles: platform: volumes: steps: uses: docker://
"""
WORDS = st.sampled_from([*SNIPPETS.split(), "\n", "\n  ", "\n    ", "\n\t"])


@given(st.sampled_from(FORMATS) | st.none(), st.lists(WORDS).map(" ".join))
def test_nor_does_anything_that_looks_like_a_list(list_format: str | None, text: str) -> None:
    """Words of all kinds in any order: half a file is still no traceback."""
    assert listed("-", list_format=list_format, stdin=text)
