"""What people and scripts read after a run."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from jsonschema import Draft202012Validator, ValidationError

import puller
from puller.cli.ci import github_errors
from puller.errors import FailureClass, FailureKind
from puller.failure import Failure, failure
from puller.failure.kinds import KINDS
from puller.model import PullOutcome, RunDetails, Status
from puller.report import RENDERERS, json as as_json, text
from puller.report.json import report_of
from tests.lab.samples import outcome, report

SCHEMA = json.loads((Path(puller.__file__).parent / "schemas/report.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def document(*outcomes: PullOutcome, stopped: str = "") -> dict[str, Any]:
    """Render as JSON and read it back."""
    read: dict[str, Any] = json.loads(as_json.render(report(*outcomes, stopped=stopped)))
    return read


def test_text_has_table_then_failures_then_summary() -> None:
    """The text report says what failed and what to do about it, and ends with a summary and the next commands."""
    rendered = text.render(report(outcome(), outcome("nope", Status.FAILED, seconds=0.2), seconds=12))
    assert rendered == (
        "STATUS  IMAGE       DIGEST        TOOK\n"
        "pulled  nginx:1.27  0123456789ab  4.2s\n"
        "failed  nope        -             0.2s\n"
        "\n"
        "failed: nope: image or tag not found (not_found)\n"
        "  manifest unknown\n"
        f"  → {KINDS[FailureKind.NOT_FOUND].advice}\n"
        "\n"
        "1 of 2 images is present: 1 pulled, 1 failed in 12s\n"
        "next: puller pull --failed      # pulls the 1 missing image, after a fix\n"
        "      puller explain not_found  # explains the cause\n"
    )


def fetched(image: PullOutcome, count: int, size: int | None = None) -> PullOutcome:
    """Let an image with layers of `size` bytes have fetched `count` of them, in its first attempt."""
    first, *others = image.attempts
    return image._replace(attempts=(first._replace(bytes=count), *others), size=size)


def test_the_summary_says_what_was_downloaded_how_fast_and_what_was_saved() -> None:
    """Bytes, time and rate; what shared layers saved only if the sizes of all pulled images are known."""
    one, two = fetched(outcome("a"), 50_000_000, 80_000_000), fetched(outcome("b"), 12_000_000, 22_000_000)
    there = outcome("c", Status.UP_TO_DATE)
    line = "3 of 3 images are present: 2 pulled, 1 up to date; 62.0MB in 52s (1.2MB/s)"
    made = report(one, two, there, seconds=52)
    assert text.conclusion(made) == f"{line}; 40.0MB shared or downloaded before\n"
    assert text.conclusion(report(one, two._replace(size=None), there, seconds=52)) == f"{line}\n"
    row = text.table(made).splitlines()[1]
    assert row.split() == ["pulled", "a", "0123456789ab", "50.0MB", "4.2s"]


def test_images_in_files_and_loaded_images_are_not_called_present() -> None:
    """`pull --to` says where the images are, and `load` that they are loaded."""
    made = report(outcome())
    to_files = made._replace(details=RunDetails(engine="oci:out/"))
    assert text.conclusion(to_files).startswith("1 of 1 image is written to out/ (OCI layout): 1 pulled")
    lost = report(outcome(status=Status.FAILED))._replace(details=RunDetails(engine="archive:a b.tar"))
    assert "0 of 1 image is written to a b.tar (archive)" in text.conclusion(lost)
    assert "next: puller pull --failed --to 'archive:a b.tar'  # " in text.conclusion(lost)
    loaded = text.render(made._replace(details=RunDetails(engine="engine 1", command="puller load out")))
    assert "\nloaded  nginx:1.27" in loaded
    assert "1 of 1 image is loaded: 1 loaded" in loaded


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ((FailureKind.TIMEOUT,), "pulls the 1 missing image; a retry may succeed"),
        ((FailureKind.TIMEOUT, FailureKind.NOT_FOUND), "pulls the 2 missing images; a retry may succeed for 1 of them"),
        ((FailureKind.NOT_FOUND,), "pulls the 1 missing image, after a fix"),
        ((FailureKind.DISK_FULL, FailureKind.CANCELLED), "pulls the 2 missing images, after a fix"),
        ((FailureKind.CANCELLED,), "pulls the 1 missing image"),
    ],
)
def test_the_next_command_says_whether_it_is_worth_it(kinds: tuple[FailureKind, ...], words: str) -> None:
    """A retry helps against a timeout, not against a tag that does not exist."""
    cancelled, failed = Status.CANCELLED, Status.FAILED
    ends = [
        outcome(kind.value, cancelled if kind is FailureKind.CANCELLED else failed, why=failure(kind, "x"))
        for kind in kinds
    ]
    (line,) = [line for line in text.conclusion(report(*ends)).splitlines() if "--failed" in line]
    assert line.startswith("next: puller pull --failed ")
    assert line.partition("  # ")[2] == words


def test_advice_names_the_registry_unless_images_of_several_share_it() -> None:
    """As each image has it in the JSON; a cause of many registries is one block with general advice."""
    down = failure(FailureKind.REGISTRY_5XX, "503")
    one, two, other = (outcome(name, Status.FAILED, why=down) for name in ("a.io/x", "a.io/y", "b.io/x"))
    assert "  → Run again later, and check the status page of a.io.\n    a.io/x\n" in text.conclusion(report(one, two))
    shown = text.conclusion(report(one, other))
    assert "failed: 2 images: " in shown
    assert "check the status page of the registry." in shown
    assert [image["error"]["advice"][-8:] for image in document(one, other)["images"]] == ["of a.io.", "of b.io."]
    assert not any("{" in made(report(one, other)) for kind, made in RENDERERS.items() if kind in ("text", "markdown"))


def test_an_invalid_line_is_named_as_lists_name_it() -> None:
    """By its place, the reason and the line in quotes, whether it is alone or not."""
    lines = [
        PullOutcome(shown, (shown,), Status.FAILED, failure=failure(FailureKind.BAD_REFERENCE, why))
        for shown, why in (("alpine:", "bad.txt:3: invalid"), ("; rm -rf /", "bad.txt:5: one image per line"))
    ]
    shown = text.conclusion(report(*lines))
    assert "failed: 2 lines: invalid image reference" in shown
    assert '\n    bad.txt:3: invalid: "alpine:"\n    bad.txt:5: one image per line: "; rm -rf /"\n' in shown
    assert 'failed: "alpine:": invalid image reference' in text.conclusion(report(lines[0]))


def test_a_full_disk_is_said_once_with_what_to_do() -> None:
    """Of a run that was refused before any pull, and of one that an image stopped; the page and GitHub do likewise."""
    small, full = failure(FailureKind.DISK_TOO_SMALL, "not enough disk"), failure(FailureKind.DISK_FULL, "no space")
    refused = report(*[outcome(name, Status.CANCELLED, attempts=0, why=small) for name in "ab"], stopped=small.message)
    advice = f"\nnot enough disk: 2 images not pulled\n→ {small.advice}\nnext: "
    ended = report(outcome("a", Status.FAILED, why=full), stopped=full.message)
    for made, words in ((refused, advice), (ended, f"  no space\n  → {full.advice}\n")):
        shown = text.conclusion(made)
        assert words in shown
        assert (shown.count(made.stopped), shown.count("→")) == (1, 1)
    assert "Stopped:" not in RENDERERS["html"](ended)
    assert len([*github_errors(ended)]) == 1


def test_there_is_nothing_to_type_after_a_bad_line_and_without_an_engine() -> None:
    """`--failed` pulls no invalid line, and there is no run to repeat if there was no engine."""
    bad = PullOutcome("a b", ("a b",), Status.FAILED, failure=failure(FailureKind.BAD_REFERENCE, "x.txt:3: no"))
    nowhere = outcome("a", Status.CANCELLED, why=failure(FailureKind.DAEMON_UNREACHABLE, "no engine"), attempts=0)
    assert "--failed" not in text.conclusion(report(bad))
    assert "next:" not in text.conclusion(report(nowhere, stopped="no engine"))


def test_a_report_that_is_read_later_names_its_run() -> None:
    """Run, start, host and lists stand in the first line."""
    details = RunDetails(host="build7", lists=("images.txt", "nginx"))
    made = report(outcome())._replace(details=details)
    first = text.render(made, run="20261123T080000.000Z-7-1").splitlines()[0]
    assert first == "run 20261123T080000.000Z-7-1 of 2026-11-23T08:00:00Z on build7: images.txt, nginx"
    assert text.render(made).startswith("run of 2026-11-23T08:00:00Z on build7: images.txt, nginx\n\nSTATUS")


def test_colors_mark_what_failed() -> None:
    """A failed row does not look like a pulled one; without colors there is no escape sequence."""
    made = report(outcome(), outcome("nope", Status.FAILED))
    colored = text.render(made, color=True)
    assert "\x1b[32mpulled\x1b[0m  nginx:1.27" in colored
    assert "\x1b[31mfailed\x1b[0m  nope" in colored
    assert "\x1b[31mfailed\x1b[0m: nope: " in colored
    assert "\x1b" not in text.render(made)


def test_failures_with_one_reason_share_it_and_keep_their_names() -> None:
    """Forty images that fail alike are forty names and one reason."""
    rendered = text.render(report(*(outcome(f"nope:{n}", Status.FAILED) for n in range(40))))
    assert rendered.count("manifest unknown") == 1
    assert "failed: 40 images: image or tag not found (not_found)\n" in rendered
    assert all(f"\n    nope:{n}\n" in rendered for n in range(40))


def test_one_cause_with_several_messages_has_its_advice_once() -> None:
    """Each image has its message. The most frequent cause comes first."""
    why = [failure(FailureKind.NOT_FOUND, f"no manifest {n}") for n in range(2)]
    slow = outcome("c", Status.FAILED, why=failure(FailureKind.TIMEOUT, "no answer"))
    rendered = text.conclusion(report(slow, *(outcome(f"a:{n}", Status.FAILED, why=why[n]) for n in range(2))))
    assert rendered.startswith(
        "failed: 2 images: image or tag not found (not_found)\n"
        f"  → {KINDS[FailureKind.NOT_FOUND].advice}\n"
        "    a:0: no manifest 0\n"
        "    a:1: no manifest 1\n"
        "\n"
        "failed: c: timed out (timeout)\n"
    )
    assert "puller explain not_found  # explains the most frequent cause\n" in rendered


def test_messages_that_differ_in_the_name_of_the_image_are_one() -> None:
    """The engine repeats the name, as it was typed or in full; the name is in the next line anyway."""
    short = failure(FailureKind.NOT_FOUND, "manifest for a:1 not found")
    full = failure(FailureKind.NOT_FOUND, "manifest for docker.io/library/b:1 not found")
    made = report(outcome("a:1", Status.FAILED, why=short), outcome("b:1", Status.FAILED, why=full))
    assert text.render(made).count("  manifest for … not found\n") == 1
    assert RENDERERS["markdown"](made).count("manifest for") == 1
    assert "  manifest for a:1 not found\n" in text.render(report(made.outcomes[0]))


def test_a_stopped_run_says_why_and_counts_the_cancelled() -> None:
    """Cancelled images are counted in one line for each reason."""
    images = [outcome(f"a:{n}", Status.CANCELLED) for n in range(12)]
    rendered = text.render(report(*images, stopped="interrupted by SIGINT"))
    assert "\nstopped: interrupted (Ctrl-C)\ninterrupted: 12 images not pulled\n" in rendered
    assert "failed:" not in rendered


def test_the_reason_of_an_interruption_is_said_once() -> None:
    """Not once for each image that was not pulled; a table in which nothing began is left out."""
    why = failure(FailureKind.CANCELLED, "interrupted by SIGINT")
    images = [outcome(f"a:{n}", Status.CANCELLED, why=why, attempts=0) for n in range(12)]
    rendered = text.render(report(*images, stopped="interrupted by SIGINT"))
    assert rendered == (
        "0 of 12 images are present: 12 cancelled in 12s\n"
        "interrupted (Ctrl-C): 12 images not pulled\n"
        "next: puller pull --failed  # pulls the 12 missing images\n"
    )


def test_what_an_interrupted_run_keeps_is_said() -> None:
    """The bytes that came count, also those of images that had not begun, and the next run is said to use them."""
    why = failure(FailureKind.CANCELLED, "interrupted by SIGINT")
    images = [outcome(f"a:{n}", Status.CANCELLED, why=why, attempts=0) for n in range(2)]
    stopped = report(*images, stopped="interrupted by SIGINT")._replace(other_bytes=27_000_000, kept=55_800_000)
    rendered = text.render(stopped)
    assert "2 cancelled; 27.0MB in 12s" in rendered
    assert "# pulls the 2 missing images; 55.8MB of layers are kept for it\n" in rendered
    read = report_of(RENDERERS["json"](stopped))
    assert (read.bytes, read.kept) == (27_000_000, 0)


def test_what_a_failure_stopped_does_not_repeat_its_message() -> None:
    """A full disk stops the run: its message is above, with its advice."""
    full = outcome("a", Status.FAILED, why=failure(FailureKind.DISK_FULL, "no space left on device"))
    others = outcome("b", Status.CANCELLED, why=failure(FailureKind.CANCELLED, "no space left on device"))
    rendered = text.render(report(full, others, stopped="no space left on device"))
    assert rendered.count("no space left on device") == 1
    assert "\n1 image not pulled because of the failure above\n" in rendered


def test_an_empty_list_reads_as_one() -> None:
    """No image is no failure, and is not `0 of 0`."""
    empty = report()._replace(outcomes=())
    assert text.render(empty) == "no images: there was nothing to pull\n"
    VALIDATOR.validate(json.loads(as_json.render(empty)))


def test_one_long_name_does_not_widen_the_table() -> None:
    """A very long name pushes its own row only."""
    long = "registry.example.com/a/very/long/path/to/an/image" + "/and/more" * 5
    rows = text.render(report(outcome(), outcome(long))).splitlines()
    assert len(rows[1]) < 60
    assert long in rows[2]


def test_the_lines_of_a_lock_do_not_widen_the_table() -> None:
    """The digest of `name:tag@digest` is in its own column, also for an image that is missing; else it is short."""
    pin = "@sha256:" + "ab" * 32
    ends = (outcome(f"localhost:5000/a:1{pin}"), outcome(f"b{pin}"), outcome(f"c:1{pin}", Status.FAILED))
    rendered = text.render(report(*ends))
    assert [line.split()[1:3] for line in rendered.splitlines()[1:4]] == [
        ["localhost:5000/a:1", "0123456789ab"],
        ["b@sha256:abababababab", "0123456789ab"],
        ["c:1", "abababababab"],
    ]
    assert "failed: c:1@sha256:abababababab: " in rendered
    assert "ab" * 7 not in rendered


def test_the_time_of_an_image_is_that_of_its_attempts() -> None:
    """What an image waited for a slot before its first attempt is not counted, in no report."""
    image = outcome(seconds=9.5)
    late = image._replace(attempts=(image.attempts[0]._replace(started=2.5),))
    assert text.table(report(late)).splitlines()[1].endswith("  7.0s")
    assert 'time="7.000"' in RENDERERS["junit"](report(late))
    assert "| 7.0s |" in RENDERERS["markdown"](report(late))
    assert (document(late)["images"][0]["took"], document(late)["images"][0]["seconds"]) == (7.0, 9.5)


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
    for key in set(read) - {"new", "ended", "bytes", "other_bytes", "run"}:
        with pytest.raises(ValidationError):
            VALIDATOR.validate({name: value for name, value in read.items() if name != key})
    for key in read["images"][0].keys() - {"warning", "size", "took", "kept"}:
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
