"""Completion as a user meets it: a real shell, a line that is begun, and the tab key."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HOME = "\x01"
END = "\x05"

RUN = "20261123T080000.000Z-4711-1"

LINES = (
    ("puller pu", "puller pull "),
    ("puller pull --no-d", "puller pull --no-disk-check "),
    ("puller pull --policy mis", "puller pull --policy missing "),
    ("puller pull --policy=mis", "puller pull --policy=missing "),
    ("puller pull --report js", "puller pull --report json="),
    ("puller pull --report json=ou", "puller pull --report json=output.json "),
    ("puller pull --report=json=ou", "puller pull --report=json=output.json "),
    ("puller pull --image nginx:1.27 im", "puller pull --image nginx:1.27 images.txt "),
    ("puller pull --context def", "puller pull --context default "),
    ("puller pull --to arch", "puller pull --to archive:"),
    ("puller config --per-r", "puller config --per-registry "),
    ("puller report 2026", f"puller report {RUN} "),
    ("puller lock -o lo", "puller lock -o locks/"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a few files, and a puller in a PATH of its own."""
    folder = tmp_path_factory.mktemp("completion")
    for name in ("images.txt", "output.json"):
        (folder / name).touch()
    (folder / "locks").mkdir()
    (folder / ".local/state/puller/runs").mkdir(parents=True)
    (folder / f".local/state/puller/runs/{RUN}.json").touch()
    program = folder / ".bin" / "puller"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m puller "$@"\n')
    program.chmod(0o755)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Keep this machine's settings out of the shells."""
    path = f"{folder}/.bin:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8", "PS1": ""}


def typed(folder: Path, *shell: str, setup: str) -> str:
    """Type each line, the tab key, and what makes the shell echo the line as it then is."""
    keys = "".join(f"{line}\t{HOME}echo '<{END}>'\n" for line, _ in LINES)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        shell, cwd=folder, env=environment(folder), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        os.write(ours, f"{setup}\n{keys}exit\n".encode())
        output = b""
        try:
            while read := os.read(ours, 65536):
                output += read
        except OSError:  # the shell has gone, and the terminal with it
            pass
        process.wait()
    os.close(ours)
    return output.decode()


def without(shell: str) -> pytest.MarkDecorator:
    """Skip where a shell is not installed."""
    return pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed")


def test_bash_completes(folder: Path) -> None:
    """One tab completes verbs, options, their values, kinds of reports, and files, behind an equals sign, too.

    click's script adds a space to whatever is complete, to `json=`, too.
    """
    output = typed(folder, "bash", "--norc", "--noprofile", "-i", setup='eval "$(puller completion bash)"')
    for _, completed in LINES:
        assert re.search(rf"\n<{re.escape(completed)} ?>", output.replace("\r", "")), output


@without("zsh")
def test_zsh_completes(folder: Path) -> None:
    """The same in zsh, which takes back the space and the slash that it added when the cursor goes elsewhere."""
    setup = 'autoload -U compinit; compinit -u; eval "$(puller completion zsh)"'
    output = typed(folder, "zsh", "-f", "-i", setup=setup)
    for _, completed in LINES:
        assert f"\n<{completed.rstrip(' /')}>" in output.replace("\r", ""), output


@without("fish")
def test_fish_completes(folder: Path) -> None:
    """The same in fish, which tells a script what it would offer, and adds the space itself."""
    asked = "\n".join(f"complete -C '{line}'" for line, _ in LINES)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"puller completion fish | source\n{asked}"],
        cwd=folder, env=environment(folder), capture_output=True, text=True, check=True,
    )  # fmt: skip
    offered = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert offered == [completed.split()[-1] for _, completed in LINES]
    assert done.stderr == ""


def test_a_tab_after_a_verb_says_what_there_is(folder: Path) -> None:
    """A second tab lists the verbs."""
    done = subprocess.run(
        [sys.executable, "-m", "puller"], capture_output=True, text=True, check=True,
        env=environment(folder)
        | {"PYTHONPATH": str(ROOT), "_PULLER_COMPLETE": "zsh_complete", "COMP_WORDS": "puller ", "COMP_CWORD": "1"},
    )  # fmt: skip
    assert "plain\npull\nPull every image of the lists, and report on each.\n" in done.stdout
    verbs = done.stdout.splitlines()[1::3]
    assert len(verbs) == len({*verbs}) > 5


def test_an_unknown_shell_is_refused(folder: Path) -> None:
    """The three that there are get named."""
    done = subprocess.run(
        [sys.executable, "-m", "puller", "completion", "tcsh"],
        cwd=folder, env=environment(folder) | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    for shell in ("bash", "zsh", "fish"):
        assert shell in done.stderr
