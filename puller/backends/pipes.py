"""The ends of a program's pipes: what is read is handed over in lines, what is to be written never blocks."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 64 * 1024
"""Bytes read at once, and kept of an output unless more are wanted: its end, where the reason stands."""


class Reader:
    """One output of a program: hands over whole lines, keeps the end."""

    def __init__(
        self, on_line: "Callable[[str], None] | None" = None, *, returns: bool = False, keep: int = CHUNK
    ) -> None:
        self.tail = b""
        self.partial = b""
        self._on_line = on_line
        self._returns = returns
        self._keep = keep

    def serve(self, descriptor: int) -> bool:
        """Read what is there; return whether there may be more."""
        try:
            data = os.read(descriptor, CHUNK)
        except OSError:
            data = b""  # EIO is how a terminal says that nobody is at its other end any more
        self.feed(data)
        return bool(data)

    def feed(self, data: bytes) -> None:
        """Take in a piece; with `returns` a carriage return ends a line as a newline does."""
        if self._returns:
            data = data.replace(b"\r", b"\n")
        self.tail = (self.tail + data)[-self._keep :]
        *lines, self.partial = (self.partial + data).split(b"\n")
        self.partial = self.partial[-CHUNK:]
        for line in lines:
            self._hand_over(line)

    def finish(self) -> None:
        """Take what is left for a line."""
        if self.partial:
            self._hand_over(self.partial)

    def text(self) -> str:
        """Return the end of all that was read."""
        return self.tail.decode(errors="replace")

    def _hand_over(self, line: bytes) -> None:
        if self._on_line:
            self._on_line(line.decode(errors="replace").rstrip("\r"))


class Writer:
    """The input of a program: all that it is told, as fast as it reads."""

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)

    def serve(self, descriptor: int) -> bool:
        """Write what the program takes now; return whether anything is left."""
        try:
            self._left = self._left[os.write(descriptor, self._left[:CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False  # it does not want to know
        return bool(self._left)
