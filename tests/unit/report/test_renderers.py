"""What people and scripts read after a run."""

import dataclasses
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from jsonschema import Draft202012Validator, ValidationError

import puller
from puller.errors import FailureClass, FailureKind
from puller.failure import Failure, failure
from puller.failure.kinds import KINDS
from puller.model import PullOutcome, Status
from puller.report import RENDERERS, json as as_json, text
from tests.lab.samples import outcome, report

SCHEMA = json.loads((Path(puller.__file__).parent / "schemas/report.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def document(*outcomes: PullOutcome, stopped: str = "") -> dict[str, Any]:
    """Render as JSON and read it back."""
    read: dict[str, Any] = json.loads(as_json.render(report(*outcomes, stopped=stopped)))
    return read


def test_text_has_table_then_summary_then_failures() -> None:
    """The text report ends with what failed and what to do about it."""
    rendered = text.render(report(outcome(), outcome("nope", Status.FAILED, seconds=0.2), seconds=12))
    assert rendered == (
        "STATUS  IMAGE       DIGEST        ATTEMPTS  TIME\n"
        "pulled  nginx:1.27  0123456789ab         1  4.2s\n"
        "failed  nope        -                    1  0.2s\n"
        "\n"
        "1 of 2 images are present: 1 pulled, 1 failed in 12s\n"
        "\n"
        "failed: nope\n"
        "  not_found: manifest unknown\n"
        f"  → {KINDS[FailureKind.NOT_FOUND].advice}\n"
    )


def test_quiet_text_is_empty_when_all_is_well() -> None:
    """Quiet means quiet, unless something failed."""
    assert text.render(report(outcome()), failures_only=True) == ""
    broken = text.render(report(outcome("a"), outcome("nope", Status.FAILED)), failures_only=True)
    assert broken.startswith("1 of 2 images are present")
    assert "failed: nope\n" in broken
    assert "STATUS" not in broken


def test_failures_with_one_reason_share_it_and_keep_their_names() -> None:
    """Forty images that fail alike are forty names and one reason."""
    rendered = text.render(report(*(outcome(f"nope:{n}", Status.FAILED) for n in range(40))))
    assert rendered.count("manifest unknown") == 1
    assert all(f"failed: nope:{n}\n" in rendered for n in range(40))


def test_a_stopped_run_says_why_and_counts_the_cancelled() -> None:
    """Cancelled images are counted in one line for each reason."""
    images = [outcome(f"a:{n}", Status.CANCELLED) for n in range(12)]
    rendered = text.render(report(*images, stopped="interrupted by SIGINT"))
    assert "\nstopped: interrupted by SIGINT\ncancelled: 12 images (interrupted)\n" in rendered
    assert "failed:" not in rendered


def test_an_empty_list_reads_as_one() -> None:
    """No image is no failure, and is not `0 of 0`."""
    empty = dataclasses.replace(report(), outcomes=())
    assert text.render(empty) == "no images: there was nothing to pull\n"
    VALIDATOR.validate(json.loads(as_json.render(empty)))


def test_one_long_name_does_not_widen_the_table() -> None:
    """A name with a digest pushes its own row only."""
    long = "registry.example.com/a/very/long/path/to/an/image@sha256:" + "ab" * 32
    rows = text.render(report(outcome(), outcome(long))).splitlines()
    assert len(rows[1]) < 60
    assert long in rows[2]


def test_json_keeps_the_contract() -> None:
    """The JSON report has the promised keys and values."""
    read = document(outcome(platform="linux/arm64", seconds=4.20049), outcome("nope", Status.FAILED))
    assert read["schema"] == "puller.report/1"
    assert read["started"] == "2026-11-23T08:00:00Z"
    assert read["seconds"] == 12.346
    assert read["ok"] is False
    assert read["stopped"] is None
    assert read["counts"] == {"pulled": 1, "up_to_date": 0, "present": 0, "failed": 1, "cancelled": 0}
    first, second = read["images"]
    assert first["reference"] == "docker.io/library/nginx:1.27"
    assert (first["requested"], first["platform"], first["host"]) == (["nginx:1.27"], "linux/arm64", None)
    assert (first["status"], first["attempts"], first["seconds"], first["error"]) == ("pulled", 1, 4.2, None)
    assert set(second["error"]) == {"kind", "class", "message", "advice", "origin", "until"}
    assert second["error"]["class"] == "permanent"
    assert second["digest"] is None


@pytest.mark.parametrize("status", Status)
def test_json_fits_its_schema(status: Status) -> None:
    """Every way to end fits the schema."""
    VALIDATOR.validate(document(outcome(status=status), stopped="deadline"))


@pytest.mark.parametrize("kind", FailureKind)
def test_every_failure_fits_the_schema(kind: FailureKind) -> None:
    """Every kind of failure fits the schema."""
    VALIDATOR.validate(document(outcome(status=Status.FAILED, why=failure(kind, "x"))))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "done"),
        ("attempts", "1"),
        ("seconds", -1),
        ("requested", []),
        ("digest", "abc"),
        ("error", None),
        ("error", {"kind": "Not Found", "class": "permanent", "message": "", "advice": ""}),
        ("error", {"kind": "not_found", "class": "odd", "message": "", "advice": ""}),
        ("status", "pulled"),
    ],
)
def test_schema_refuses_a_bad_value(key: str, value: object) -> None:
    """A report that breaks the contract does not pass for one."""
    read = document(outcome(status=Status.FAILED))
    read["images"][0][key] = value
    with pytest.raises(ValidationError):
        VALIDATOR.validate(read)


def test_schema_wants_every_promised_key_and_bears_others() -> None:
    """New keys may appear; promised ones may not go. Reports of earlier versions do not have all of today's keys."""
    read = document() | {"new": 1}
    VALIDATOR.validate(read)
    for key in set(read) - {"new", "ended", "bytes", "run"}:
        with pytest.raises(ValidationError):
            VALIDATOR.validate({name: value for name, value in read.items() if name != key})
    for key in read["images"][0].keys() - {"warning", "size"}:
        image = {name: value for name, value in read["images"][0].items() if name != key}
        with pytest.raises(ValidationError):
            VALIDATOR.validate(read | {"images": [image]})


@pytest.mark.parametrize("kind", RENDERERS)
@settings(deadline=None)  # a template is compiled at its first use
@given(words=st.text(), why=st.text(), stopped=st.text())
def test_no_words_from_outside_reach_the_terminal_raw(kind: str, words: str, why: str, stopped: str) -> None:
    """No image name and no engine message can move the cursor, forge a line or break the encoding."""
    reason = Failure(FailureKind.UNCLASSIFIED, FailureClass.TRANSIENT, why, why)
    odd = PullOutcome(words, (words,), Status.FAILED, digest=words, failure=reason)
    cancelled = PullOutcome(words, (words,), Status.CANCELLED, failure=reason)
    rendered = RENDERERS[kind](report(odd, cancelled, stopped=stopped))
    assert not [char for char in rendered if unicodedata.category(char) in ("Cc", "Cs") and char != "\n"]
    if kind == "json":
        assert json.loads(rendered)["images"][0]["requested"] == [words]
