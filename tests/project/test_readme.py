"""The README tells what the program tells: its help is the program's own, and what it names exists."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from puller.errors import ExitCode
from scripts.docs.commands import PAGE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
WIDTH = "90"


def help_of(*verb: str) -> str:
    """Ask the program."""
    done = subprocess.run(
        [sys.executable, "-m", "puller", *verb, "--help"],
        env=os.environ | {"COLUMNS": WIDTH},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_page_of_commands_is_made_from_them() -> None:
    """Who changes an option makes the page anew: `python -m scripts.docs.commands > docs/commands.md`."""
    # In a process of its own: click keeps the help option that a command had when it was first asked.
    done = subprocess.run(
        [sys.executable, "-m", "scripts.docs.commands"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (ROOT / PAGE).read_text() == done.stdout


def test_the_page_of_commands_shows_what_the_program_prints() -> None:
    """Whoever reads the options there reads what --help prints."""
    for verb in ((), ("pull",)):
        assert f"```text\n{help_of(*verb)}```\n" in (ROOT / PAGE).read_text()


def test_every_verb_has_a_line_in_the_help_and_a_help_of_its_own() -> None:
    """`puller --help` names the verbs, and each of them explains itself."""
    overview = help_of()
    for verb in ("list", "pull"):
        assert re.search(rf"^  {verb} ", overview, re.MULTILINE)
        assert help_of(verb).startswith(f"Usage: puller {verb} ")


def test_every_exit_code_is_explained() -> None:
    """No run ends with a number that the README does not know."""
    for code in ExitCode:
        assert re.search(rf"^\| .*\b{code.value}\b.* \|", README, re.MULTILINE), code


def test_files_that_the_readme_names_exist() -> None:
    """Links and scripts lead somewhere, in the README and in the pages."""
    for page_ in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = page_.read_text()
        for path in re.findall(r"\]\(([\w./-]+)\)", text):
            assert (page_.parent / path).exists(), (page_.name, path)
        for path in re.findall(r"`(scripts/[\w-]+)`", text):
            assert (ROOT / path).exists(), (page_.name, path)


def test_the_demonstration_and_the_tests_stand_in_the_readme() -> None:
    """How to see it work, and how to test it, are found at first sight."""
    for command in ("scripts/quickstart", "scripts/test"):
        assert f"| `{command}` |" in README


def test_a_stranger_finds_the_install_line_and_the_list_first() -> None:
    """One page: the program goes where cron looks for it, and the list's form stands before all comparisons."""
    assert len(README.splitlines()) <= 220
    venv, link = "python3 -m venv /opt/puller && /opt/puller/bin/pip install .", "/usr/local/bin/puller"
    assert f"    {venv} && ln -s /opt/puller/bin/puller {link}\n" in README
    assert link.rpartition("/")[0] in (ROOT / "config/cron.d/puller").read_text()
    assert README.index("one image per line") < README.index("Why not `xargs")
    assert re.search(r"<!-- sample -->\n```text\n\$ puller pull [^`]+```\n<!-- /sample -->", README)


def test_the_picture_shows_a_run_and_asks_nobody() -> None:
    """It is a drawing of the live view that needs no network: `python -m scripts.docs.live_picture > docs/live.svg`."""
    picture = (ROOT / "docs/live.svg").read_text()
    drawing = ET.fromstring(picture)  # noqa: S314 - a file of our own
    assert drawing.tag.endswith("svg")
    for words in ("MB/s", "retry&#160;1&#160;in", "left", "✓"):
        assert words in picture
    assert not re.search(r"url\(.?http|href=", picture)
