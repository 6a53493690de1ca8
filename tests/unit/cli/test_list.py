"""The `list` verb, as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from puller.cli.commands.list import command
from puller.errors import ListError

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

DIGEST = "sha256:" + "c" * 64
PROGRAM = "from puller.cli.commands.list import command; command()"


def run(*args: str, stdin: str | bytes | None = None) -> Result:
    """Call the verb."""
    return CliRunner().invoke(command, args, input=stdin)


def problems(result: Result) -> tuple[str, ...]:
    """Take the lines of the ListError that the main door would print."""
    assert isinstance(result.exception, ListError), result
    assert result.stdout == ""
    return result.exception.problems


def test_text_is_the_canonical_references() -> None:
    """Every image once, its name in full, in list order."""
    result = run("-", "--image", "redis:7", stdin="ubuntu\nghcr.io/a/b # x\nindex.docker.io/ubuntu\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "docker.io/library/ubuntu:latest",
        "ghcr.io/a/b:latest",
        "docker.io/library/redis:7",
    ]


def test_the_text_output_is_a_list_that_means_the_same() -> None:
    """Platforms included, listing the output gives the output."""
    source = f"nginx\n--platform=linux/aarch64 nginx:1.27\nx@{DIGEST}\nlocalhost:5000/x:1@{DIGEST}\n[::1]:5000/y\n"
    once = run("-", stdin=source)
    assert "--platform=linux/arm64 docker.io/library/nginx:1.27\n" in once.stdout
    assert run("-", stdin=once.stdout).stdout == once.stdout


def test_platform_is_for_lines_without_one() -> None:
    """--platform takes aliases and leaves a line's own platform alone."""
    result = run("-", "--platform", "linux/armhf", stdin="nginx\n--platform=linux/amd64 nginx\n")
    assert result.stdout.splitlines() == [
        "--platform=linux/arm/v7 docker.io/library/nginx:latest",
        "--platform=linux/amd64 docker.io/library/nginx:latest",
    ]


def test_json_says_all_that_is_known() -> None:
    """The document is versioned, with every spelling and every part of a reference."""
    result = run("-", "--format", "json", stdin=f"nginx\ndocker.io/nginx\n--platform=linux/arm64 x.io/a/b@{DIGEST}\n")
    assert json.loads(result.stdout) == {
        "schema": "puller.list/1",
        "images": [
            {
                "reference": "docker.io/library/nginx:latest",
                "platform": None,
                "requested": ["nginx", "docker.io/nginx"],
                "registry": "docker.io",
                "repository": "library/nginx",
                "tag": "latest",
                "digest": None,
                "sources": ["stdin:1", "stdin:2"],
            },
            {
                "reference": f"x.io/a/b@{DIGEST}",
                "platform": "linux/arm64",
                "requested": [f"x.io/a/b@{DIGEST}"],
                "registry": "x.io",
                "repository": "a/b",
                "tag": None,
                "digest": DIGEST,
                "sources": ["stdin:3"],
            },
        ],
        "invalid": [],
        "notes": [],
    }


def test_all_bad_lines_are_reported_at_once() -> None:
    """Nothing is listed, and every bad line has its number."""
    found = problems(run("-", "--image", "NO", stdin="nginx\na b\n$(id)\n"))
    assert [problem.split(": ")[0] for problem in found[:-1]] == ["stdin:2", "stdin:3", "--image"]
    assert found[-1] == "3 bad lines; nothing was done (--skip-invalid skips them)"


def test_skip_invalid_lists_the_rest() -> None:
    """The bad lines go to stderr, the others to stdout, and all is well."""
    result = run("-", "--skip-invalid", stdin="nginx\na b\n")
    assert result.exit_code == 0
    assert result.stdout == "docker.io/library/nginx:latest\n"
    assert result.stderr == 'stdin:2: one image reference per line: "a b"\n'


def test_skip_invalid_in_json_names_the_bad_lines() -> None:
    """A program finds the bad lines in the document."""
    result = run("-", "--skip-invalid", "--format=json", stdin="a b\n")
    assert json.loads(result.stdout) == {
        "schema": "puller.list/1",
        "images": [],
        "invalid": ['stdin:1: one image reference per line: "a b"'],
        "notes": [],
    }


def test_sources_are_comments_of_a_list_that_means_the_same(tmp_path: Path) -> None:
    """`--sources` says where each image is written, every place once, and the output is still a list."""
    compose = tmp_path / "compose.yaml"
    compose.write_text("services:\n  a: {image: nginx}\n  b: {image: nginx}\n  c: {image: redis:7}\n")
    once = run(str(compose), "-", "--sources", stdin="docker.io/nginx\n")
    assert once.stdout.splitlines() == [
        f"docker.io/library/nginx:latest  # {compose}:2, {compose}:3, stdin:1",
        f"docker.io/library/redis:7  # {compose}:4",
    ]
    assert run("-", stdin=once.stdout).stdout == run(str(compose)).stdout


def test_what_is_left_out_is_said_on_stderr(tmp_path: Path) -> None:
    """A note has its place and is no error; JSON has it, too."""
    compose = tmp_path / "compose.yaml"
    compose.write_text("services:\n  web: {build: .}\n  db: {image: postgres}\n  x: {image: busybox, profiles: [x]}\n")
    result = run(str(compose))
    assert (result.exit_code, result.stdout) == (0, "docker.io/library/postgres:latest\n")
    notes = [
        f"{compose}:2: service web: only build:, nothing to pull",
        f"{compose}:4: service x (--profile x): left out, its profile is not active",
    ]
    assert result.stderr.splitlines() == notes
    assert json.loads(run(str(compose), "--format=json").stdout)["notes"] == notes
    assert "busybox" in run(str(compose), "--profile", "x").stdout


def test_from_says_what_a_list_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--from` overrules what content and name tell."""
    assert run("-", "--from", "json", stdin='["nginx"]').stdout == "docker.io/library/nginx:latest\n"
    assert "one image reference per line" in problems(run("-", "--from", "text", stdin="FROM nginx\n"))[0]
    assert run("-", "--from", "paper", stdin="").exit_code == 2
    monkeypatch.setenv("PULLER_FROM", "json")
    assert problems(run("-", stdin="nginx"))[0].startswith("stdin:1: not in the format json")


def test_nothing_but_bad_lines_prints_nothing() -> None:
    """No image is no output, not an empty line."""
    assert run("-", "--skip-invalid", stdin="a b\n").stdout == ""


def test_nothing_named_is_a_usage_error() -> None:
    """Without LIST and --image the verb says what it wants instead of waiting for stdin."""
    result = run()
    assert result.exit_code == 2
    assert "no images given: pass a list file, - for stdin, or --image REF" in result.stderr


@pytest.mark.parametrize("text", ["arm64", "linux/", "linux/amd64/v1/x", ""])
def test_a_wrong_platform_is_a_usage_error(text: str) -> None:
    """The message shows what a platform looks like."""
    result = run("--image=nginx", "--platform", text)
    assert result.exit_code == 2
    assert "is not a platform such as" in result.stderr


def test_an_empty_list_is_an_error(tmp_path: Path) -> None:
    """The file is named."""
    path = tmp_path / "images.txt"
    path.touch()
    assert problems(run(str(path))) == (f"{path}: contains no image reference",)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_reader_who_has_seen_enough_is_no_error(form: str) -> None:
    """`puller list … | head -1` ends quietly, with more to say than a pipe holds."""
    lines = "".join(f"registry.example/team/app{number}\n" for number in range(5_000)).encode()
    argv = [sys.executable, "-c", PROGRAM, "-", "--format", form]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(lines)
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_arguments_of_dockerfiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their values, or by those of the environment; one without a value is not set."""
    monkeypatch.setenv("B", "b:2")
    text = "ARG A\nARG B\nARG C=c\nFROM $A\nFROM $B\nFROM $C\n"
    result = run("-", "--build-arg", "A=a:x=1", "--build-arg=B", "--build-arg=C", "--skip-invalid", stdin=text)
    assert result.stdout.splitlines() == ["docker.io/library/b:2", "docker.io/library/c:latest"]
    assert '"a:x=1"' in result.stderr
    assert "a:1" in run("-", "--build-arg=A=a:1", "--build-arg=B", stdin=text).stdout


def test_services_of_compose_files() -> None:
    """The options of docker compose pull."""
    text = "services:\n  a: {image: a}\n  b: {image: b, build: .}\n"
    assert run("-", "--service", "a", stdin=text).stdout == "docker.io/library/a:latest\n"
    assert run("-", "--ignore-buildable", stdin=text).stdout == "docker.io/library/a:latest\n"
    assert '"z"' in problems(run("-", "--service=z", stdin=text))[0]


def test_bad_lines_of_a_directory_can_be_skipped(tmp_path: Path) -> None:
    """One file of many must not stop the others."""
    (tmp_path / "a.yaml").write_text("image: [x\n")
    (tmp_path / "b.yaml").write_text("services: {b: {image: b}}\n")
    assert "--skip-invalid" in problems(run(str(tmp_path)))[-1]
    assert run(str(tmp_path), "--skip-invalid").stdout == "docker.io/library/b:latest\n"
