"""What the doctor found, as people and as scripts read it."""

import json

from puller.doctor import Finding, Verdict, render

FINDINGS = (
    Finding("engine", "reachable", Verdict.OK, "unix:///x"),
    Finding("engine", "unpigz", Verdict.WARNING, "it is not there", "sudo apt-get install pigz"),
    Finding("x.io", "tls", Verdict.FAILED, "it is not known", "one\ntwo"),
)


def test_text_is_a_line_for_each_check_with_its_cure_below() -> None:
    """Columns, arrows, the sum, and the names of what failed nearest to the prompt."""
    assert render.render_text(FINDINGS, asked=True) == (
        "ok       engine  reachable  unix:///x\n"
        "warning  engine  unpigz     it is not there\n"
        "         → sudo apt-get install pigz\n"
        "failed   x.io    tls        it is not known\n"
        "         → one\n"
        "           two\n"
        "\n"
        "3 checks: 1 ok, 1 warning, 1 failed\n"
        "failed: x.io tls\n"
    )
    assert render.render_text(FINDINGS[:1], asked=False).splitlines()[-2:] == [
        "1 check: 1 ok",
        "No list given: registries not checked. Run `puller doctor LIST`.",
    ]


def test_long_messages_are_wrapped_below_their_column() -> None:
    """A narrow terminal gets whole words; commands to copy stay on one line."""
    finding = Finding("x.io", "tls", Verdict.FAILED, "word " * 12 + "end", "command " * 12 + "end")
    lines = render.render_text([finding], asked=True, width=60).splitlines()
    assert lines[:2] == ["failed  x.io  tls  " + "word " * 7 + "word", " " * 19 + "word " * 4 + "end"]
    assert lines[2].endswith("command end")
    assert max(map(len, render.render_text([finding], asked=True, width=40).splitlines()[:2])) <= 40


def test_colors_mark_what_is_wrong() -> None:
    """Only warnings and failures have one."""
    text = render.render_text(FINDINGS, asked=True, color=True)
    assert text.startswith("ok       engine")
    assert "\n\x1b[33mwarning\x1b[0m  engine" in text
    assert "\n\x1b[31mfailed\x1b[0m   x.io" in text
    assert text.endswith("\n\n3 checks: 1 ok, 1 warning, 1 failed\n\x1b[31mfailed\x1b[0m: x.io tls\n")


def test_json_is_for_scripts() -> None:
    """Schema, verdict, counts, and each check with its cure; warnings do not make it false."""
    document = json.loads(render.render_json(FINDINGS, asked=True))
    assert (document["schema"], document["ok"], document["registries_asked"]) == ("puller.doctor/1", False, True)
    assert document["counts"] == {"ok": 1, "warning": 1, "failed": 1}
    assert document["checks"][2] == {
        "subject": "x.io",
        "check": "tls",
        "status": "failed",
        "message": "it is not known",
        "fix": "one\ntwo",
    }
    assert json.loads(render.render_json(FINDINGS[:2], asked=False))["ok"] is True
