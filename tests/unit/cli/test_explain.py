"""The `explain` verb, as a user meets it."""

import json

import pytest
from click.testing import CliRunner, Result

from puller.cli.commands.explain import command
from puller.errors import FailureKind, UsageError
from puller.failure import failure
from puller.failure.kinds import title
from puller.report.words import reason

LIMITED = "Error response from daemon: toomanyrequests: retry-after: 863.373s, allowed: 44000/minute"


def run(*args: str, stdin: str | bytes | None = None) -> Result:
    """Call the verb."""
    return CliRunner().invoke(command, args, input=stdin)


def rows(result: Result) -> list[dict[str, object]]:
    """Read the JSON lines."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_message_is_explained_in_words() -> None:
    """Kind, class, cause, whether and when to try again, what to do, and the message itself."""
    lines = dict(line.split(None, 1) for line in run(LIMITED).stdout.splitlines())
    assert lines["kind"].startswith("rate_limited: ")
    assert (lines["class"].split(":")[0], lines["cause"], lines["retry"]) == (
        "rate_limited",
        "registry",
        "yes, after 14m23s",
    )
    assert lines["message"] == LIMITED
    assert lines["advice"]


@pytest.mark.parametrize(
    ("word", "kinds"), [("disk", "disk_full, disk_too_small?"), ("dsn_failure", "dns_failure?"), ("xyzzy", "")]
)
def test_a_word_that_is_nearly_a_kind(word: str, kinds: str) -> None:
    """Is answered with the kinds that are meant; one that is like none is explained as a message."""
    result = run(word)
    if kinds:
        assert str(result.exception).endswith(f"did you mean {kinds}")
        assert isinstance(result.exception, UsageError)
    else:
        assert "unclassified" in result.stdout


def test_quotes_may_be_forgotten() -> None:
    """Words that a shell took apart are one message."""
    assert run(*LIMITED.split()).stdout == run(LIMITED).stdout


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_a_message_can_be_piped_in(arguments: tuple[str, ...]) -> None:
    """What a program printed on several lines is one message."""
    printed = "Error response from daemon:\n  manifest for nginx:nope not found: manifest unknown\r\n"
    assert run(*arguments, stdin=printed).stdout.startswith("kind     not_found: ")


def test_json_is_one_object() -> None:
    """`--format json` gives the same words as a report does."""
    (row,) = rows(run("--format", "json", LIMITED))
    assert row["message"] == LIMITED
    assert (row["kind"], row["class"], row["origin"]) == ("rate_limited", "rate_limited", "registry")
    assert (row["retry"], row["wait"]) == (True, 863.373)
    old = {"schema", "kind", "class", "origin", "retry", "wait", "advice", "message"}
    assert set(row) == {*old, "title", "summary", "exit_code"}


def test_every_kind_is_explained() -> None:
    """The word that a report has, its words for people, and a line of a report as a whole."""
    for kind in FailureKind:
        for words in (kind.value, kind.value.upper().replace("_", "-"), title(kind)):
            (row,) = rows(run("--format", "json", *words.split()))
            assert (row["kind"], row["message"], row["title"]) == (kind, "", title(kind))
    assert run("not_found").stdout.startswith("kind     not_found: The registry has no such")
    assert "message" not in run("not_found").stdout
    (row,) = rows(run("--format", "json", "registry_5xx: example.org: status 500"))
    assert (row["kind"], row["message"]) == ("registry_5xx", "example.org: status 500")
    (row,) = rows(run("--format", "json", "unauthorized: authentication required"))
    assert row["message"] == "unauthorized: authentication required"


def test_a_line_of_a_log_or_report_is_explained() -> None:
    """The kind in it counts, whatever the message says."""
    for kind in FailureKind:
        if (line := reason(failure(kind, "xyz"))).startswith(f"{title(kind)} ("):
            (row,) = rows(run(line, "--format", "json"))
            assert (row["kind"], row["message"]) == (kind, "xyz")


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("not_found", "1"),
        ("registry_5xx", "75 (if all failures are temporary, else 1)"),
        ("daemon_unreachable", "69 (no engine; 3 if others of a fleet have theirs)"),
        ("host_unreachable", "3 (a host of a fleet; the other hosts go on)"),
        ("cancelled", "130"),
    ],
)
def test_the_exit_code_is_said(kind: str, line: str) -> None:
    """A script can tell what a run with this failure ends with."""
    assert f"exit     {line}\n" in run(kind).stdout


def test_json_lines_give_json_lines() -> None:
    """One for each, in order; a status helps, and other keys do no harm."""
    given = [
        {"message": LIMITED},
        {"message": "manifest unknown", "status": 404, "cite": "x"},
        {"message": "who knows", "status": None},
        {"message": "", "status": 401},
    ]
    piped = "\n" + "\n\n".join(map(json.dumps, given)) + "\n"
    kinds = [row["kind"] for row in rows(run(stdin=piped))]
    assert kinds == ["rate_limited", "not_found", "unclassified", "unauthorized"]


@pytest.mark.parametrize("bad", ["[1]", "{", '{"msg": "x"}', '{"message": 5}', "words", '{"message": NaN' + "[" * 9999])
def test_a_bad_line_is_told_by_number(bad: str) -> None:
    """Nothing is printed for the good ones, so that nobody takes a part for the whole."""
    result = run(stdin=f'{{"message": "x"}}\n{bad}\n')
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith("line 2: ")
    assert result.stdout == ""


@pytest.mark.parametrize("nothing", ["", " \n\t\n"])
def test_nothing_is_a_usage_error(nothing: str) -> None:
    """Without a message there is nothing to explain."""
    result = run(stdin=nothing)
    assert result.exit_code == 2
    assert "no message: " in result.stderr


def test_bytes_that_are_no_text_are_shown_safely() -> None:
    """Escapes and broken UTF-8 from a log do not reach the terminal, and an unknown text is shown whole."""
    result = run(stdin=b"\xff\x1b[31mred\x07 words")
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout
    assert "red words" in result.stdout
    assert result.stdout.startswith(f"kind     {FailureKind.UNCLASSIFIED}")
