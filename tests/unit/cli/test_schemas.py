"""JSON documents that need no engine fit their schemas; for the others see tests/engine/test_schemas.py."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.lab.schemas import SCHEMAS, assert_fits
from tests.unit.cli.test_main import GOOD, Shell

PULL = ("pull", "--backend", "cli", "-q", "--skip-invalid", "images.txt", "--format", "json")
PINNED = f"nginx:1.27@sha256:{'0' * 64}"
LIMITED = "toomanyrequests: retry-after: 863.373s, allowed: 44000/minute"
ALL = {
    "config", "doctor", "explain", "fleet-check", "history", "hosts", "list", "lock-check", "plan", "prune", "report",
    "runs", "verify",
}  # fmt: skip


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give each test a folder with lists, an engine's command that pulls, and one run on record."""
    shell = Shell(tmp_path)
    shell.docker(pull=GOOD)
    shell.list("nginx:1.27", "--platform=linux/arm64 acme/missing", f"redis@sha256:{'1' * 64}", "not a reference")
    shell.list(PINNED, "extra:1@sha256:" + "2" * 64, name="images.lock")
    shell.list(f"nginx:1.27@sha256:{'3' * 64}", "127.0.0.1:1/nobody:1", "new:1", "not a reference", name="wanted.txt")
    shell.list(f"127.0.0.1:1/nobody:1@sha256:{'4' * 64}", PINNED, f"old:1@sha256:{'5' * 64}", name="wanted.lock")
    (tmp_path / "puller.toml").write_text('[pull]\njobs = 7\n[registry."reg.example.org"]\nconcurrency = 2\n')
    return shell


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("report", PULL),
        ("report", ("report", "1", "--format", "json")),
        ("history", ("history", "--format", "json")),
        ("list", ("list", "images.txt", "--skip-invalid", "--format", "json")),
        ("lock-check", ("lock", "wanted.txt", "--skip-invalid", "-o", "wanted.lock", "--check", "--format", "json")),
        ("doctor", ("doctor", "--format", "json")),
        ("doctor", ("doctor", "--image", "127.0.0.1:1/nobody:1", "--format", "json")),
        ("config", ("config", "--format", "json", "-c", "puller.toml", "--retries", "9", "--mirror", "a.io=b.io/c")),
        ("explain", ("explain", "--format", "json", LIMITED)),
        ("explain", ("explain", "--format", "json", "who knows")),
        ("hosts", ("verify", "nginx:1", "--host", "unix:///nowhere", "--format", "json")),
        ("fleet-check", ("fleet", "check", "--host", "unix:///nowhere", "--format", "json")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_a_verb_prints_fits_its_schema(shell: Shell, name: str, arguments: tuple[str, ...]) -> None:
    """The real verb is run; a document without one of the promised keys would not pass."""
    if arguments[0] in ("report", "history"):
        shell.run(*PULL)
    run = shell.run(*arguments, environment={"PULLER_TIMEOUT": "1m"})
    document = json.loads(run.stdout)
    assert document["schema"] == f"puller.{name}/1"
    assert_fits(document, name)


def test_the_examples_hold_what_matters(shell: Shell) -> None:
    """A document with nothing in it fits nearly any schema: these have images, failures and differences."""
    report = json.loads(shell.run(*PULL).stdout)
    assert {image["status"] for image in report["images"]} == {"pulled", "failed"}
    arguments = ("lock", "wanted.txt", "--skip-invalid", "-o", "wanted.lock", "--check", "--format", "json")
    check = shell.run(*arguments)
    found = [difference["kind"] for difference in json.loads(check.stdout)["differences"]]
    assert (check.code, found) == (1, ["repinned", "unknown", "missing", "extra"])
    text = shell.run(*arguments[:-2])
    assert text.stdout.splitlines() == [each["message"] for each in json.loads(check.stdout)["differences"]]


def test_every_document_has_a_schema_that_says_what_it_is() -> None:
    """Valid 2020-12, with a title that names the document, and words for every verb that prints it."""
    assert set(SCHEMAS) == ALL
    for name, schema in SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["title"].startswith(f"puller.{name}/1: ")
        assert schema["properties"]["schema"] == {"const": f"puller.{name}/1"}
        assert "$id" not in schema
        assert schema["description"]


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """Give every part of a schema that describes an object with keys of its own."""
    if isinstance(node, dict):
        if "object" in str(node.get("type")) and "properties" in node:
            yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects(value)


@pytest.mark.parametrize("name", sorted(ALL))
def test_keys_are_promised_and_others_are_allowed(name: str) -> None:
    """Each object says which of its keys are always there, and none forbids further ones."""
    found = list(objects(SCHEMAS[name]))
    assert found
    for node in found:
        assert set(node["required"]) <= set(node["properties"])
        assert node.get("additionalProperties", True) is not False


def test_json_is_only_for_a_check(shell: Shell) -> None:
    """A lock itself has one form."""
    run = shell.run("lock", "images.txt", "--format", "json")
    assert (run.code, run.stdout) == (2, "")
    assert "--format json is for --check" in run.stderr
