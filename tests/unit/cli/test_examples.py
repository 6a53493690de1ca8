"""Every command line that is shown to a user is one that puller takes: in its help, in the pages, in config/."""

import re
from collections import Counter
from pathlib import Path

import click
import pytest

from tests.unit.cli.examples import FILES, PAGES, ROOT, VERBS, Example, calls, examples, options, unfolded

RUNNERS = (
    "config/cron.d/puller",
    "config/github/action.yml",
    "config/gitlab/puller.gitlab-ci.yml",
    "config/systemd/puller.service",
    "README.md",
)
OF_OTHERS = Counter(
    [
        "config/systemd/puller.service --now",
        "config/github/action.yml --quiet",
        "config/images.example.txt --platform",
        *(
            f"config/{name} --collector"
            for name in ("cron.d/puller", "systemd/puller.service", "prometheus/puller.rules.yml")
        ),
    ]
)
"""Options in config/ that are not puller's: those of systemctl, of pip, of a line in a list, of node_exporter."""


@pytest.mark.parametrize("path", [*PAGES, *FILES], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_or_a_file_calls_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies a line from a page or runs a file of config/ is not told of an unknown option."""
    monkeypatch.chdir(ROOT / "config")
    assert refused(examples(path)) == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_examples_in_its_help_that_are_taken(verb: str) -> None:
    """`puller VERB --help` shows at least one call, and puller takes each."""
    command = VERBS[verb]
    assert command
    found = [*calls(f"puller {verb} --help", re.sub(r"\n\s*", "\n", f"{command.help}\n\n{command.epilog}"))]
    assert [example for example in found if example.verb == verb]
    assert refused(found) == []


@pytest.mark.parametrize("path", RUNNERS)
def test_the_calls_are_found_at_all(path: str) -> None:
    """Where puller must be called, it is."""
    assert "pull" in {example.verb for example in examples(ROOT / path)}


def test_no_option_in_a_file_escapes() -> None:
    """Each long option that stands in config/ belongs to a call that was looked at, however the call is written."""
    written: Counter[str] = Counter()
    for path in FILES:
        name = str(path.relative_to(ROOT))
        written.update(f"{name} {option}" for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", path.read_text()))
        for example in examples(path):
            options = [word.partition("=")[0] for word in example.arguments if re.match(r"--[a-z]", word)]
            written.subtract(f"{name} {option}" for option in options)
    assert +written == OF_OTHERS


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_verb_and_option_of_a_page_exists(path: Path) -> None:
    """`puller WORD` in a page is a verb, and `--option` by itself an option of some verb."""
    known = options() | {"--help", "--version", *OTHERS}
    for part in unfolded(path.read_text()):
        for word in re.findall(r"(?:`|^ {4})puller ([a-z]+)", part, re.MULTILINE):
            assert word in VERBS
        for word in re.findall(r"`(--[a-z][a-z-]*)(?![\w.-])", part):
            assert word in known


OTHERS = {"--insecure-registry", "--engine", "--mount", "--registry-mirror", "--now"}
"""Options of others that pages tell of: dockerd, the tests, a Dockerfile's RUN, systemctl."""


@pytest.mark.parametrize(
    ("text", "verb", "arguments"),
    [
        ("a `puller pull --jobs\n5` b --no", "pull", ["--jobs", "5"]),
        ("    puller pull a.txt \\\n      --no-such | tee x", "pull", ["a.txt", "--no-such"]),
        ('eval "$(/opt/bin/puller completion bash)"', "completion", ["bash"]),
        ("0 3 * * * root puller pull a.txt -q >/dev/null", "pull", ["a.txt", "-q"]),
        ('"$TEMP/puller" pull --report "junit=$A/x.xml"', "pull", ["--report", "junit=$A/x.xml"]),
    ],
)
def test_a_call_is_found_in_every_dress(text: str, verb: str, arguments: list[str]) -> None:
    """The tests above can fail."""
    found = [example for part in unfolded(text) for example in calls("here", part)]
    assert [(each.verb, [*each.arguments]) for each in found] == [(verb, arguments)]


@pytest.mark.parametrize(
    "line", ["pull --no-such-option x", "pull x --job 3", "pull x -j", "completion tcsh", "pull -Z"]
)
def test_a_call_that_is_not_taken_is_seen(line: str) -> None:
    """The tests above can fail, for a wrong option, a shortened one, one without its value, and a wrong value."""
    assert len(refused([*calls("here", f"puller {line}")])) == 1


def refused(found: list[Example]) -> list[str]:
    """Say what puller does not take, and why."""
    complaints = []
    for example in found:
        try:
            example.parse()
        except click.UsageError as error:
            complaints.append(f"{example}: {error.message}")
    return complaints
