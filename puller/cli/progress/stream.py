"""A stream that ignores write errors, so that a closed pipe does not affect a pull."""

from typing import TextIO


class QuietStream:
    """Wraps a text stream; after the first failed write it discards everything and raises nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = True
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    @property
    def unicode(self) -> bool:
        """Whether the encoding has the characters of the live view."""
        return self.encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig")

    def write(self, text: str) -> int:
        if self._open:
            try:
                self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
            except (OSError, ValueError):
                self._open = False
        return len(text)

    def flush(self) -> None:
        if self._open:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._open = False

    def write_line(self, line: str) -> None:
        """Write a line with one call, so that other writers to the same terminal do not split it."""
        self.write(line + "\n")
        self.flush()

    def isatty(self) -> bool:
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        return self._stream.fileno()
