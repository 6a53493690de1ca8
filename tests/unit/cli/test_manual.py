"""The manual page says what the commands say, and man can read it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from puller.errors import ExitCode
from scripts.docs.manual import PAGE, page

PUBLISHED = Path(__file__).parents[3] / PAGE


def test_the_page_is_made_from_the_commands() -> None:
    """Who changes an option makes the page anew: `python -m scripts.docs.manual > docs/puller.1`."""
    assert PUBLISHED.read_text() == page()


def test_the_page_has_every_exit_code() -> None:
    """A script's author finds each number."""
    for code in ExitCode:
        assert f"\n.B {code.value}\n" in page()


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_man_shows_the_page_without_a_warning() -> None:
    """`man puller` shows verbs, options, and examples line by line as they are typed."""
    done = subprocess.run(
        ["man", "--warnings", "-l", str(PUBLISHED)], capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "90"},
    )  # fmt: skip
    assert done.stderr == ""
    text = re.sub(".\b", "", done.stdout)
    assert re.search(r"^ +-j, --jobs, --parallel N$", text, re.MULTILINE)
    assert re.search(r"^ +puller pull images.txt -j 3$", text, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_mandoc_finds_nothing_to_complain_of() -> None:
    """The page is one for other systems, too."""
    done = subprocess.run(["mandoc", "-Tlint", str(PUBLISHED)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
