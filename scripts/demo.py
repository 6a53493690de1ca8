"""What the demonstrations share: command lines that are shown and run, and signals that end one in good order."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from tests.lab import WorldError

GRACE_SECONDS = 3


def main(name: str, play: Callable[[], object]) -> int:
    """Play a demonstration, and return the exit code of its program; `name` begins the line of an error."""
    stop_on_signals()
    try:
        play()
    except (WorldError, subprocess.TimeoutExpired) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    return 0


def program() -> Path:
    """Return where the puller of this virtual environment is."""
    return Path(sys.executable).with_name("puller")


def show(*command: str) -> None:
    """Print a command line as if somebody had typed it."""
    print("\n$", *command, flush=True)


def run(folder: Path, environment: Mapping[str, str], expected: int, *options: str) -> None:
    """Show a command line of puller and run it; raises WorldError if its exit code is not the expected one."""
    show("puller", *options)
    child = subprocess.Popen([program(), *options], cwd=folder, env=environment)
    try:
        child.wait()
    except SystemExit:
        # Ctrl-C in a terminal has reached it as well, a signal for this process alone has not.
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
        child.terminate()
        child.wait()
        raise
    print(f"(exit code {child.returncode})", flush=True)
    if child.returncode != expected:
        raise WorldError(f"{expected} was expected")


def stop_on_signals() -> None:
    """Turn the signals that end a program into SystemExit, once: what follows is cleaning up.

    SIGPIPE stays ignored: a proxy gets it when the engine closes a connection.
    """
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for each in signals:
        signal.signal(each, stop)
