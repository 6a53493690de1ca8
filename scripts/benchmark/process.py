"""A contender's process: started with the list, waited for or killed, measured by the kernel's own books."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from scripts.benchmark.sample import Sample
from tests.lab import WorldError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RUN_SECONDS = 900.0
_TIMED = Path(__file__).with_name("timed.py")


class Running:
    """A process under way, with all that it starts; `kill` may end it from another thread."""

    def __init__(self, command: Sequence[str], names: Path, environment: Mapping[str, str]) -> None:
        """Start it with the list on its standard input; raises WorldError when it cannot be run."""
        self._words = " ".join(command)
        self._output: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `ended`
        read, write = os.pipe()
        self._report: IO[str] = os.fdopen(read)
        with names.open() as text:
            self._timer = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_TIMED), str(write), *command],
                stdin=text,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                pass_fds=(write,),
                start_new_session=True,  # Ctrl-C is for the benchmark
            )
        os.close(write)
        group = self._report.readline()
        if not group:
            self._end()
            raise WorldError(f"cannot run {self._words}")
        self._group = int(group)

    def kill(self) -> None:
        """Kill it and what it started, as a host does that runs out of memory (SIGKILL)."""
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)

    def ended(self, *, killed: bool = False) -> Sample:
        """Wait for its end and say what it took; raises WorldError when it failed, unless it is to be `killed`."""
        clock = threading.Timer(RUN_SECONDS, self.kill)
        clock.start()
        try:
            books = json.loads(self._report.read())
        except BaseException:
            self.kill()
            raise
        finally:
            clock.cancel()
            said = self._end()
        if (code := books.pop("code")) and not killed:
            raise WorldError(f"{self._words} ended with code {code}:\n{said}")
        return Sample(**books)

    def _end(self) -> str:
        """Reap, close, and return the end of what was printed."""
        self._timer.wait()
        self._report.close()
        with self._output:
            self._output.seek(0)
            return self._output.read()[-2000:]


def killed_when(running: Running, reached: Callable[[], bool]) -> Sample:
    """Kill it as soon as something is reached, unless it ends before that."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            if reached():
                running.kill()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return running.ended(killed=True)
    finally:
        over.set()
        watcher.join()
