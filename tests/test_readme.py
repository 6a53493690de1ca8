"""The README tells what the program tells: its help is the program's own, and what it names exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

from puller.errors import ExitCode

ROOT = Path(__file__).parent.parent
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


def test_the_help_in_the_readme_is_the_programs_own() -> None:
    """Whoever reads the options in the README reads what --help prints."""
    match = re.search(r"<!-- help.*?-->\n```text\n(.*?)```\n<!-- /help -->", README, re.DOTALL)
    assert match
    assert match.group(1) == help_of("pull")


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
    """Links and scripts lead somewhere."""
    for path in re.findall(r"\]\(([\w./-]+)\)", README) + re.findall(r"`(scripts/[\w-]+)`", README):
        assert (ROOT / path).exists(), path
