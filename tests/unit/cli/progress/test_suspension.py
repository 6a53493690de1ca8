"""Ctrl-Z in a terminal: the shell gets it back as it was, and the view is drawn again by `fg`."""

import os
import pty
import select
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab.fakes import HANG
from tests.lab.program import SECONDS
from tests.unit.cli.test_main import Shell

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
JOB_CONTROL = """set -m
"$@"
echo "the shell has the terminal"; sleep 1; fg >&2
echo "the end"
"""
"""A shell that runs a program in the foreground, and continues it once it has been stopped."""


class Screen:
    """The other end of the terminal of a program."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self.text = ""

    def until(self, words: str) -> str:
        """Read until the words come; return what came until then, and forget it."""
        deadline = time.monotonic() + SECONDS
        while words not in self.text and time.monotonic() < deadline:
            if select.select([self._terminal], [], [], 0.1)[0]:
                self.text += os.read(self._terminal, 4096).decode("utf-8", "replace")
        before, found, self.text = self.text.partition(words)
        assert found, f"{words!r} never came: {before!r}"
        return before

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._terminal, key)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Give a docker that hangs."""
    shell = Shell(tmp_path)
    shell.docker(pull=HANG)
    return shell


def test_ctrl_z_gives_the_terminal_back(shell: Shell) -> None:
    """The cursor is visible while the run is stopped, and no row is left; then the rows are back, without a cursor."""
    terminal, program = pty.openpty()
    pull = shell.argv("pull", "--image", "nginx", "--backend", "cli", "--no-lock", "--progress", "tty")
    environment = shell.environment | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        ["bash", "-c", 'exec 0<"$0" 1>"$0" 2>"$0"; ' + JOB_CONTROL, os.ttyname(program), *pull],
        cwd=shell.folder, env=environment, start_new_session=True,
    )  # fmt: skip
    screen = Screen(terminal)
    try:
        assert HIDDEN in screen.until("0/1 images")
        screen.press(b"\x1a")
        left = screen.until("the shell has the terminal")
        assert left.rindex(SHOWN) > left.rfind(HIDDEN)
        assert "images" not in left[left.rindex("\x1b[2K") :]
        assert HIDDEN in screen.until("0/1 images")
        screen.press(b"\x03")
        left = screen.until("the end")
        assert left.rindex(SHOWN) > left.rfind(HIDDEN)
        assert process.wait(SECONDS) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        for each in (terminal, program):
            os.close(each)
